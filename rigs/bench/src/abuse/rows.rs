//! The rows of the table: data only.

/// A kind of abuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    Nothing,
    SlowHello,
    EndlessLine,
    Flood,
    HalfOpen,
    Idle,
    Descriptors,
    Memory,
    Disk,
    Stall,
    Churn,
    Strangers,
    Streams,
    Slowloris,
}

impl Row {
    pub const ALL: [Self; 14] = [
        Self::Nothing,
        Self::SlowHello,
        Self::EndlessLine,
        Self::Flood,
        Self::HalfOpen,
        Self::Idle,
        Self::Descriptors,
        Self::Memory,
        Self::Disk,
        Self::Stall,
        Self::Churn,
        Self::Strangers,
        Self::Streams,
        Self::Slowloris,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::SlowHello => "slow-hello",
            Self::EndlessLine => "endless-line",
            Self::Flood => "flood",
            Self::HalfOpen => "half-open",
            Self::Idle => "idle",
            Self::Descriptors => "descriptors",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Stall => "stall",
            Self::Churn => "churn",
            Self::Strangers => "strangers",
            Self::Streams => "streams",
            Self::Slowloris => "slowloris",
        }
    }

    /// Returns the abuse in words, for the table.
    pub fn words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::SlowHello => "500 connections whose hello comes a byte each 200 ms",
            Self::EndlessLine => "20 clients, each with a line that never ends",
            Self::Flood => "4 clients that write as fast as the server reads",
            Self::HalfOpen => "500 clients that fall silent after their hello and connect again",
            Self::Idle => "10,000 clients that only keep alive",
            Self::Descriptors => {
                "connections without end, and a server that may have 256 descriptors"
            }
            Self::Memory => "200 clients that write the longest lines and read nothing",
            Self::Disk => "a disk that takes nothing for 1 s",
            Self::Stall => "a server that is halted for 1 s",
            Self::Churn => "5,000 connections a second, each closed after its hello",
            Self::Strangers => "1,000 hellos a second with ids that are not expected",
            Self::Streams => {
                "200 event streams that nobody reads, and 500 connections a second to fill them"
            }
            Self::Slowloris => "500 HTTP requests that come a byte each 200 ms",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|row| row.name() == name)
    }

    /// Returns the most descriptors that the server may have; `None` is as many as it gets.
    pub fn descriptors(self) -> Option<u32> {
        (self == Self::Descriptors).then_some(256)
    }

    /// Returns true if the server serves only the well-behaved.
    pub fn is_closed(self) -> bool {
        self == Self::Strangers
    }
}

#[cfg(test)]
mod tests {
    use super::Row;

    #[test]
    fn each_row_has_a_name_of_its_own() {
        for row in Row::ALL {
            assert_eq!(Row::parse(row.name()), Some(row));
        }
        assert_eq!(Row::parse("kindness"), None);
    }
}
