//! Which endpoint serves the next exchange. Sans-I/O: no connection, no clock.
