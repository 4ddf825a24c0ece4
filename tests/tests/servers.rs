//! The S3 store on servers that others wrote, and on ours: a client tested only against its own author's idea of S3 would
//! be wrong with him.
//!
//! `tests/servers/run` starts the servers and tells where they are; the tests of one that was not started say so and pass.
//! What is known to be wrong with each is in [`quirks`] and, for people, in `docs/SERVERS.md`.

mod disorder;
mod quirks;
mod rerouted;
mod site;
mod tree;
mod truth;
mod users;

use pos3_core::conformance;

conformance!(own, async || site::own());
conformance!(own_by_host, async || site::own_by_host());
conformance!(own_out_of_order, async || site::own_out_of_order());
conformance!(seaweedfs, async || site::other(&quirks::SEAWEEDFS));
conformance!(moto, async || site::other(&quirks::MOTO));
conformance!(radosgw, async || site::other(&quirks::RADOSGW));
