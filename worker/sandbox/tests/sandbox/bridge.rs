//! The bridge carries bytes between the agent's loopback port and the gateway's socket: both ways, in bulk, half-closed, many.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::common::{bench_of, run, succeed};
use pretty_assertions::assert_eq;
use worker_sandbox::GatewayBridge;

/// A gateway that answers each connection with what it got, once the client has ended its half.
fn echo_gateway(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("gateway.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut all = Vec::new();
                // A client that goes away in the middle is one of the cases.
                if stream.read_to_end(&mut all).is_ok() {
                    let _gone = stream.write_all(&all);
                }
            });
        }
    });
    path
}

async fn python(script: &str) -> Option<String> {
    if !Path::new("/usr/bin/python3").exists() {
        return None;
    }
    let folder = tempfile::TempDir::new().unwrap();
    let mut bench = bench_of(&["/usr/bin/python3", "-c", script]);
    bench.policy.gateway = Some(GatewayBridge {
        socket: echo_gateway(folder.path()),
        port: 3128,
    });
    Some(succeed(bench.policy).await)
}

#[tokio::test]
async fn megabytes_go_both_ways_and_half_close_is_passed_on() {
    let script = "import socket,hashlib,os\nd=os.urandom(5<<20)\ns=socket.create_connection(('127.0.0.1',3128))\nimport threading\nt=threading.Thread(target=lambda:(s.sendall(d),s.shutdown(1)));t.start()\nr=b''\nwhile True:\n  b=s.recv(65536)\n  if not b: break\n  r+=b\nt.join()\nprint(r==d)";
    assert!(python(script).await.is_none_or(|output| output == "True\n"));
}

#[tokio::test]
async fn more_connections_than_the_bridge_holds_come_through() {
    let script = "import socket\nc=[socket.create_connection(('127.0.0.1',3128)) for _ in range(300)]\nok=0\nfor i,s in enumerate(c):\n  s.sendall(str(i).encode());s.shutdown(1)\nfor i,s in enumerate(c):\n  ok+=s.recv(99)==str(i).encode();s.close()\nprint(ok)";
    assert!(python(script).await.is_none_or(|output| output == "300\n"));
}

#[tokio::test]
async fn clients_that_vanish_do_not_make_init_spin() {
    let script = "import socket,struct,time\nfor _ in range(20):\n  s=socket.create_connection(('127.0.0.1',3128));s.sendall(b'x'*100)\n  s.setsockopt(socket.SOL_SOCKET,socket.SO_LINGER,struct.pack('ii',1,0));s.close()\nt=lambda:sum(map(int,open('/proc/1/stat').read().rsplit(')')[1].split()[11:13]))\na=t();time.sleep(1);print(t()-a<20)";
    assert!(python(script).await.is_none_or(|output| output == "True\n"));
}

#[tokio::test]
async fn a_dead_gateway_closes_the_connection_instead_of_hanging() {
    if !Path::new("/usr/bin/python3").exists() {
        return;
    }
    let folder = tempfile::TempDir::new().unwrap();
    let socket = folder.path().join("gateway.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let script = "import socket\ns=socket.create_connection(('127.0.0.1',3128),5)\ntry: print(s.recv(1))\nexcept ConnectionResetError: print(b'')";
    let mut bench = bench_of(&["/usr/bin/python3", "-c", script]);
    bench.policy.gateway = Some(GatewayBridge { socket, port: 3128 });
    let outcome = run(bench.policy).await;
    assert_eq!(outcome.stdout, "b''\n", "{}", outcome.stderr);
}
