//! The terminal screens of `pblink monitor` and `pblink demo`.
