//! A native messaging host, started and spoken to as browsers do: each message is its length, four bytes in the machine's
//! own order, and so many bytes of JSON.

use std::{ffi::OsString, path::PathBuf, process::Stdio, time::Duration};

use keystead_core::{
    effect::{MAX_NATIVE_MESSAGE, NativeError, NativeRequest},
    secret::SecretText,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Mutex,
};
use zeroize::Zeroizing;

/// How long a host that is told to end has for it.
const ENDS_WITHIN: Duration = Duration::from_secs(3);

/// A native messaging host's program; one process of it at most runs at a time.
pub struct NativeHost {
    program: PathBuf,
    environment: Vec<(OsString, OsString)>,
    running: Mutex<Option<Running>>,
}

/// Ends with this value.
struct Running {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl NativeHost {
    /// This program, in this process's environment.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), environment: Vec::new(), running: Mutex::default() }
    }

    /// With this variable in its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sends a message and waits for the next one, as [`keystead_core::effect::NativeCommand::Exchange`] says.
    pub(crate) async fn exchange(&self, request: &NativeRequest) -> Result<SecretText, NativeError> {
        let mut slot = self.running.lock().await;
        // Out of its place: whatever goes wrong now, also that nobody waits any more, ends the host.
        let mut running = match slot.take() {
            Some(running) => running,
            None => self.start()?,
        };
        let limit = Duration::from_millis(request.timeout_ms.into());
        let answer = tokio::time::timeout(limit, running.exchange(&request.message)).await;
        let answer = answer.unwrap_or(Err(NativeError::Timeout))?;
        *slot = Some(running);
        Ok(answer)
    }

    /// Ends the host.
    pub(crate) async fn close(&self) {
        let Some(Running { mut child, input, output }) = self.running.lock().await.take() else { return };
        drop((input, output));
        // One that does not end by itself is killed when `child` is dropped.
        let _ = tokio::time::timeout(ENDS_WITHIN, child.wait()).await;
    }

    fn start(&self) -> Result<Running, NativeError> {
        let mut command = Command::new(&self.program);
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|_| NativeError::Missing)?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok(Running { child, input, output }),
            _ => Err(NativeError::Died),
        }
    }
}

impl Running {
    async fn exchange(&mut self, message: &str) -> Result<SecretText, NativeError> {
        let length = u32::try_from(message.len()).map_err(|_| NativeError::TooLarge)?;
        let (input, output) = (&mut self.input, &mut self.output);
        // At the same time: a host may answer before it has read everything.
        let send = async {
            input.write_all(&length.to_ne_bytes()).await?;
            input.write_all(message.as_bytes()).await?;
            input.flush().await
        };
        let send = async { send.await.map_err(|_| NativeError::Died) };
        let ((), answer) = tokio::try_join!(send, receive(output))?;
        Ok(answer)
    }
}

async fn receive(output: &mut ChildStdout) -> Result<SecretText, NativeError> {
    let mut length = [0; 4];
    output.read_exact(&mut length).await.map_err(|_| NativeError::Died)?;
    let length = usize::try_from(u32::from_ne_bytes(length)).map_err(|_| NativeError::TooLarge)?;
    if length > MAX_NATIVE_MESSAGE {
        return Err(NativeError::TooLarge);
    }
    let mut message = Zeroizing::new(vec![0; length]);
    output.read_exact(&mut message).await.map_err(|_| NativeError::Died)?;
    match String::from_utf8(std::mem::take(&mut *message)) {
        Ok(text) => Ok(SecretText::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(NativeError::Died)
        }
    }
}
