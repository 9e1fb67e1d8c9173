//! Tools and the toolbox through the public surface.

mod toolbox;
