//! Making keys, on a host.

use crate::keys::{BoardKeys, Id, PublicKey, Secret, ServerKeys};
use crate::random::Random;
use crate::server::public_key;

/// Keys of both ends for one id, and the seed of the board's generator.
#[derive(Debug, Clone)]
pub struct Issued {
    /// For the board only: the host forgets them once the board has them.
    pub board: BoardKeys,
    /// The board's seed, see [`Drbg`](crate::drbg::Drbg). As secret as its keys.
    pub seed: Secret,
    /// For the server.
    pub server: ServerKeys,
}

/// Makes keys for an id. `server`: the server's private key, which [`Secret::draw`] has made once.
pub fn issue(id: &Id, generation: u32, server: &Secret, random: &mut impl Random) -> Issued {
    let [private, shared, seed] = core::array::from_fn(|_| Secret::draw(random));
    let board: PublicKey = public_key(&private);
    Issued {
        server: ServerKeys {
            id: id.clone(),
            generation,
            private: server.clone(),
            board,
            shared: shared.clone(),
        },
        board: BoardKeys {
            id: id.clone(),
            generation,
            private,
            server: public_key(server),
            shared,
        },
        seed,
    }
}
