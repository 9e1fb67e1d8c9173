//! Dropping a call ends it at the server.

use std::time::{Duration, Instant};

use martlet_model::Model;
use martlet_testkit::{FakeServer, Reply};

use crate::common::{Watcher, client, request, soon};

#[tokio::test]
async fn the_server_sees_a_dropped_call_within_200_ms() {
    let streaming = Reply::stream(["data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n"]).then_hang();
    for (reply, watch) in [(Reply::never(), false), (Reply::never(), true), (streaming, true)] {
        let server = FakeServer::with_replies([reply]);
        let model = client(&server).build().unwrap();
        let call = tokio::spawn(async move {
            let sink = Watcher::default().sink();
            model.generate(request("hi"), watch.then_some(&sink)).await
        });
        soon(server.wait_until_in_flight(1)).await;
        let dropped = Instant::now();
        call.abort();
        soon(server.wait_until_aborted(1)).await;
        assert!(dropped.elapsed() < Duration::from_millis(200), "{:?}", dropped.elapsed());
        let counters = soon(server.wait_until(|counters| counters.open == 0)).await;
        assert_eq!((counters.in_flight, counters.answered), (0, 0));
    }
}
