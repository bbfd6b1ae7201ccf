//! The control API of `pblink serve`: HTTP and server-sent events on 127.0.0.1.
