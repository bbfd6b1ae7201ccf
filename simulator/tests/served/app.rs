//! An application without a store: it reads and writes lines, and its server is stopped in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pblink_server::{Connection, Delivery, Server, WriteError};
use tokio::task::JoinHandle;

use super::stage::Stage;

/// Lines that are written and not acknowledged at a time.
const AHEAD: usize = 3;

/// Serves all boards. Ends with the server.
pub async fn serve(server: Server, stage: Arc<Stage>) {
    let mut tasks = Vec::new();
    let over = Arc::<AtomicBool>::default();
    while let Ok(connection) = server.next_client().await {
        if stage.accounts.contains_key(connection.id()) {
            tasks.push(tokio::spawn(read(connection.clone(), Arc::clone(&stage))));
            tasks.push(tokio::spawn(write(connection, Arc::clone(&stage), Arc::clone(&over))));
        }
    }
    over.store(true, Ordering::Relaxed);
    // Its handle would keep the server alive.
    drop(server);
    for task in tasks {
        if task.await.is_err() {
            stage.fail("a task of the application has panicked");
        }
    }
}

async fn read(connection: Connection, stage: Arc<Stage>) {
    let mut line = String::new();
    loop {
        stage.wait(|stage| stage.deaf_until).await;
        let lends = stage.lock().rng.bool();
        if !lends {
            if connection.read_line_into(&mut line).await.is_err() {
                return;
            }
            stage.got(connection.id(), &line);
            continue;
        }
        let Ok(line) = connection.recv().await else { return };
        let throw = stage.lock().rng.u8(0..8);
        if throw == 0 {
            // It changes its mind, and takes the line again.
            continue;
        }
        if throw == 1 {
            stage.linger(200_000).await;
        }
        let text = line.text().to_owned();
        // One that could not be accepted comes again.
        if line.accept().is_ok() {
            stage.got(connection.id(), &text);
        }
    }
}

type Written = VecDeque<(u64, JoinHandle<Result<(), WriteError>>)>;

async fn write(connection: Connection, stage: Arc<Stage>, over: Arc<AtomicBool>) {
    let mut written = Written::new();
    loop {
        if written.len() >= AHEAD && !finish(&mut written, &connection, &stage).await {
            break;
        }
        let Some(number) = stage.next_number(connection.id()) else {
            if over.load(Ordering::Relaxed) {
                break;
            }
            if written.is_empty() {
                stage.pass(stage.every).await;
            } else if !finish(&mut written, &connection, &stage).await {
                break;
            }
            continue;
        };
        let (link, text) = (connection.clone(), stage.text(number));
        let task = tokio::spawn(async move { link.write(&text, Delivery::ORDERED).await });
        written.push_back((number, task));
        stage.pass(stage.every).await;
    }
    while !written.is_empty() {
        finish(&mut written, &connection, &stage).await;
    }
}

/// Waits for the oldest line. False: the server is over.
async fn finish(written: &mut Written, connection: &Connection, stage: &Stage) -> bool {
    let Some((number, task)) = written.pop_front() else { return true };
    match task.await {
        Ok(Ok(())) => true,
        // The next server has it.
        Ok(Err(WriteError::Kept)) => false,
        // It was never taken.
        Ok(Err(WriteError::Closed)) => {
            let id = connection.id().to_owned();
            stage.lock().again.entry(id).or_default().push_back(number);
            false
        }
        other => {
            stage.fail(format!("line {number} to {}: {other:?}", connection.id()));
            false
        }
    }
}
