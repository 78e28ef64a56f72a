//! Child processes that never outlive their guard.
//!
//! Invariant: a server is told to stop, then killed, then reaped when its guard is dropped; and the kernel tells it to
//! stop when the process that owns the guard dies without dropping it (`setpriv --pdeathsig`, Linux).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

use rustix::process::{Pid, Signal, kill_process};

use crate::Failure;

const POLL: Duration = Duration::from_millis(10);
const PAUSE_LIMIT: Duration = Duration::from_secs(30);

/// A running server: its process, and the file that collects what it prints.
#[derive(Debug)]
pub struct ServerProcess {
    name: String,
    child: Child,
    log: PathBuf,
}

impl ServerProcess {
    /// Starts `program` in its own process group, with no standard input and its output appended to `log`.
    ///
    /// # Errors
    /// When the program can't be started.
    pub fn spawn(
        name: &str,
        program: &Path,
        log: &Path,
        configure: impl FnOnce(&mut Command),
    ) -> Result<Self, Failure> {
        let failed = |e: io::Error| {
            Failure::because(format!("could not start {name} ({})", program.display()), e)
        };
        let mut command = dying_with_parent(program);
        configure(&mut command);
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(failed)?;
        command
            .stdin(Stdio::null())
            .stderr(output.try_clone().map_err(failed)?)
            .stdout(output);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = spawn_from_lasting_thread(command).map_err(failed)?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<(), Failure> {
        i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(io::ErrorKind::InvalidInput.into())
            .and_then(|pid| kill_process(pid, signal).map_err(io::Error::from))
            .map_err(|e| Failure::because(format!("could not send {signal:?} to {}", self.name), e))
    }

    /// Stops the process where it stands (SIGSTOP) and returns when all its threads have stopped, which the kernel does
    /// not promise by the time the signal is sent.
    ///
    /// # Errors
    /// When the process is gone, or goes on all the same.
    pub fn pause(&self) -> Result<(), Failure> {
        self.signal(Signal::STOP)?;
        let tasks = format!("/proc/{}/task", self.id());
        let start = Instant::now();
        while !all_stopped(Path::new(&tasks)) {
            if start.elapsed() > PAUSE_LIMIT {
                return Err(Failure::new(format!(
                    "{} did not stop within {PAUSE_LIMIT:?}",
                    self.name
                )));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// The exit status, when the process has ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until `ready` says yes; fails when the process ends first or `limit` passes.
    ///
    /// # Errors
    /// With the last lines of the server's output.
    pub fn wait_until(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), Failure> {
        let start = Instant::now();
        loop {
            if ready() {
                return Ok(());
            }
            let problem = match self.exited() {
                Some(status) => format!("{} ended ({status}) before it was ready", self.name),
                None if start.elapsed() > limit => {
                    format!("{} was not ready after {limit:?}", self.name)
                }
                None => {
                    thread::sleep(POLL);
                    continue;
                }
            };
            return Err(Failure::new(format!(
                "{problem}; its last output:\n{}",
                self.last_output()
            )));
        }
    }

    /// Kills the process at once (SIGKILL) and reaps it.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks the process to stop (SIGTERM), kills it if it hasn't after `grace`, and reaps it.
    pub fn terminate(&mut self, grace: Duration) {
        if self.exited().is_some() {
            return;
        }
        // A stopped process takes no SIGTERM before it is continued.
        let _ = self.signal(Signal::TERM);
        let _ = self.signal(Signal::CONT);
        let start = Instant::now();
        while start.elapsed() < grace {
            if self.exited().is_some() {
                return;
            }
            thread::sleep(POLL);
        }
        self.kill();
    }

    /// The last lines that the server printed.
    pub fn last_output(&self) -> String {
        last_lines(&fs::read(&self.log).unwrap_or_default())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.terminate(Duration::from_secs(10));
    }
}

/// Whether each thread's state is `T`; it stands behind the name, which is in parentheses and may contain anything.
fn all_stopped(tasks: &Path) -> bool {
    let Ok(tasks) = fs::read_dir(tasks) else {
        return false;
    };
    tasks.flatten().all(|task| {
        // A thread that has ended in the meantime does nothing any more.
        let Ok(stat) = fs::read_to_string(task.path().join("stat")) else {
            return true;
        };
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('T'))
    })
}

fn last_lines(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// A command that runs `program` and gets SIGTERM when the thread that spawns it ends.
fn dying_with_parent(program: &Path) -> Command {
    match find_program("setpriv") {
        Some(setpriv) if cfg!(target_os = "linux") => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "TERM", "--"]).arg(program);
            command
        }
        _ => Command::new(program),
    }
}

/// The path of an executable on `$PATH` or in the system's folders for administrators.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

type Spawned = Sender<io::Result<Child>>;

/// The signal at the parent's death comes when the parent *thread* dies, and a test's thread may be gone long before
/// its process. So one thread, which lives as long as the process, spawns all servers.
fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<Sender<(Command, Spawned)>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, requests): (_, Receiver<(Command, Spawned)>) = channel();
        thread::spawn(move || {
            for (mut command, answer) in requests {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (answer, spawned) = channel();
    let gone = || io::Error::other("the thread that spawns servers is gone");
    spawner
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, answer))
        .map_err(|_| gone())?;
    spawned.recv().map_err(|_| gone())?
}

/// Runs a command to its end, bounded in time, and returns its standard output.
///
/// # Errors
/// When the command can't be started, ends with a failure (the error carries the end of its standard error), or is still
/// running after `limit`, at which point it is killed.
pub(crate) fn run_to_end(
    command: &mut Command,
    limit: Duration,
    scratch: &Path,
) -> Result<String, Failure> {
    let shown = format!("{:?}", command.get_program());
    let failed = |e: io::Error| Failure::because(format!("could not run {shown}"), e);
    // Files, unlike pipes, need nobody who reads while the command runs.
    let (out_path, err_path) = (scratch.join("stdout"), scratch.join("stderr"));
    command.stdin(Stdio::null());
    command
        .stdout(File::create(&out_path).map_err(failed)?)
        .stderr(File::create(&err_path).map_err(failed)?);
    let mut child = command.spawn().map_err(failed)?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if start.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Failure::new(format!(
                "{shown} was still running after {limit:?} and was killed"
            )));
        }
        thread::sleep(POLL);
    };
    let output = String::from_utf8_lossy(&fs::read(&out_path).map_err(failed)?).into_owned();
    if status.success() {
        return Ok(output);
    }
    let errors = last_lines(&fs::read(&err_path).map_err(failed)?);
    Err(Failure::new(format!(
        "{shown} failed ({status}):\n{}\n{errors}",
        last_lines(output.as_bytes())
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scratch;

    fn shell(script: &str) -> (Scratch, ServerProcess) {
        let scratch = Scratch::new("process").unwrap();
        let server = ServerProcess::spawn(
            "a shell",
            Path::new("/bin/sh"),
            &scratch.path().join("log"),
            |command| {
                command.args(["-c", script]);
            },
        );
        (scratch, server.unwrap())
    }

    #[test]
    fn a_server_that_ends_early_is_reported_with_its_output() {
        let (_scratch, mut server) = shell("echo the reason; exit 3");
        let failure = server
            .wait_until(Duration::from_secs(60), || false)
            .unwrap_err()
            .to_string();
        assert!(
            failure.contains("before it was ready") && failure.contains("the reason"),
            "{failure}"
        );
    }

    #[test]
    fn a_server_that_ignores_sigterm_is_killed() {
        let (scratch, mut server) = shell("trap '' TERM; echo set; while true; do sleep 1; done");
        let log = scratch.path().join("log");
        server
            .wait_until(Duration::from_secs(60), || {
                fs::read(&log).is_ok_and(|log| !log.is_empty())
            })
            .unwrap();
        server.terminate(Duration::from_millis(100));
        assert!(server.exited().is_some_and(|status| !status.success()));
    }

    #[test]
    fn a_server_outlives_the_thread_that_asked_for_it() {
        let (_scratch, mut server) = thread::spawn(|| shell("sleep 600")).join().unwrap();
        // The kernel sends the signal when the thread ends; a second spawn through the same thread comes after that.
        let (_other, mut other) = shell("exit 0");
        let _ = other.child.wait();
        assert!(server.exited().is_none());
    }

    #[test]
    fn a_command_over_its_time_is_killed() {
        let scratch = Scratch::new("command").unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "sleep 600"]);
        let failure = run_to_end(&mut command, Duration::from_millis(50), scratch.path())
            .unwrap_err()
            .to_string();
        assert!(failure.contains("still running"), "{failure}");
    }
}
