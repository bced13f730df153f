//! The official SDKs: which programs drive them, what each of them speaks, and why one lacks what the others have. Data only;
//! the versions are those of the lock files in `tests/interop`.

use std::path::Path;

/// A2A versions on the wire.
pub(crate) const VERSIONS: [&str; 2] = ["1.0", "0.3"];
/// Protocol bindings by the names that cards use.
pub(crate) const BINDINGS: [&str; 3] = ["JSONRPC", "HTTP+JSON", "GRPC"];

/// One SDK in one version.
#[derive(Debug)]
pub(crate) struct Sdk {
    /// What `--only` calls it, and the folder of its programs.
    pub(crate) language: &'static str,
    /// Its package and version, for the table.
    pub(crate) title: &'static str,
    client: &'static [&'static str],
    server: &'static [&'static str],
    /// What its client speaks, as binding and version.
    pub(crate) client_speaks: &'static [(&'static str, &'static str)],
    /// What its server speaks.
    pub(crate) server_speaks: &'static [(&'static str, &'static str)],
    /// Why something is missing from either list.
    pub(crate) note: &'static str,
}

const ALL: &[(&str, &str)] = &[
    ("JSONRPC", "1.0"),
    ("HTTP+JSON", "1.0"),
    ("GRPC", "1.0"),
    ("JSONRPC", "0.3"),
    ("HTTP+JSON", "0.3"),
    ("GRPC", "0.3"),
];
const ONLY_1_0: &[(&str, &str)] = &[("JSONRPC", "1.0"), ("HTTP+JSON", "1.0"), ("GRPC", "1.0")];
const ONLY_0_3: &[(&str, &str)] = &[("JSONRPC", "0.3"), ("HTTP+JSON", "0.3"), ("GRPC", "0.3")];
/// The Go SDK's REST for 0.3 is not the one of the specification.
const GO: &[(&str, &str)] = &[
    ("JSONRPC", "1.0"),
    ("HTTP+JSON", "1.0"),
    ("GRPC", "1.0"),
    ("JSONRPC", "0.3"),
    ("GRPC", "0.3"),
];

/// Every SDK, in the order of the table.
pub(crate) const SDKS: &[Sdk] = &[
    Sdk {
        language: "python",
        title: "Python `a2a-sdk` 1.3.0",
        client: &["{into}/python-v1/bin/python", "{here}/python/client_v1.py"],
        server: &["{into}/python-v1/bin/python", "{here}/python/server_v1.py"],
        client_speaks: ALL,
        server_speaks: ALL,
        note: "",
    },
    Sdk {
        language: "python",
        title: "Python `a2a-sdk` 0.3.26",
        client: &[
            "{into}/python-v03/bin/python",
            "{here}/python/client_v03.py",
        ],
        server: &[
            "{into}/python-v03/bin/python",
            "{here}/python/server_v03.py",
        ],
        client_speaks: ONLY_0_3,
        server_speaks: ONLY_0_3,
        note: "speaks 0.3 only",
    },
    Sdk {
        language: "js",
        title: "JavaScript `@a2a-js/sdk` 1.3.0",
        client: &["node", "{here}/js/client.js"],
        server: &["node", "{here}/js/server.js"],
        client_speaks: ALL,
        server_speaks: ALL,
        note: "",
    },
    Sdk {
        language: "go",
        title: "Go `a2a-go/v2` 2.2.0",
        client: &["{into}/go/client"],
        server: &["{into}/go/server"],
        client_speaks: GO,
        server_speaks: GO,
        note: "its REST for 0.3 is a dialect of its own: no `/v1` in the paths, and the objects of JSON-RPC in snake_case",
    },
    Sdk {
        language: "rust",
        title: "Rust `a2a-client-lf` 0.2.9, `a2a-server-lf` 0.5.3, `a2a-grpc` 0.3.11",
        client: &["{into}/rust/release/client"],
        server: &["{into}/rust/release/server"],
        client_speaks: ONLY_1_0,
        server_speaks: ONLY_1_0,
        note: "speaks 1.0 only",
    },
    Sdk {
        language: "java",
        title: "Java `io.github.a2asdk` 0.3.3.Final",
        client: &[
            "java",
            "-cp",
            "{into}/java/interop.jar:{into}/java/lib/*",
            "interop.Client",
        ],
        server: &[],
        client_speaks: ONLY_0_3,
        server_speaks: &[],
        note: "speaks 0.3 only; it is the newest final release that the registry serves. Of 1.0 there is a pre-release (1.0.0.Alpha3) of a draft of the protocol, with another gRPC package and other push configurations. Its server is a library for Quarkus of which the registry serves only a part, so there is none here",
    },
];

impl Sdk {
    /// The command that starts its driver.
    pub(crate) fn client(&self, project: &Path) -> Vec<String> {
        places(self.client, project)
    }

    /// The command that starts its echo server.
    pub(crate) fn server(&self, project: &Path) -> Vec<String> {
        places(self.server, project)
    }
}

fn places(command: &[&str], project: &Path) -> Vec<String> {
    let into = project.join(".interop").display().to_string();
    let here = project.join("tests/interop").display().to_string();
    let place = |word: &&str| word.replace("{into}", &into).replace("{here}", &here);
    command.iter().map(place).collect()
}
