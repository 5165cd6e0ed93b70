"""Files of electron microscopes: images, diffraction, EELS, EDS."""
