"""The model behind the link: data sets, feature maps, kernels, classifiers, attacks on them."""
