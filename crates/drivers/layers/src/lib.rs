//! Layers of images, and the files of containers.
