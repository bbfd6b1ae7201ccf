//! The log on disk: what is committed is there, whatever happens to process, disk and file.

#[path = "log_sqlite/model.rs"]
mod model;
