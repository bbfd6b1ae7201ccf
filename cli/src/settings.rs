//! `pblink.toml`: the one source of truth for board, server and tools.
