//! The S3 store on third-party servers and on our own. A client that is tested only on its author's server repeats the
//! author's mistakes.
//!
//! `tests/servers/run` starts the servers and sets variables with their addresses. If a server was not started, its
//! tests print this and pass. The known deviations of each server are in [`quirks`] and in `docs/SERVERS.md`.

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
