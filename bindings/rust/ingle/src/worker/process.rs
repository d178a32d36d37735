//! The child itself: started without a window, with its three streams in our hands, and gone when we are gone.

use std::{
    collections::VecDeque,
    ffi::OsString,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Last lines of standard error that a report of a crash shows.
const LINES: usize = 8;
const LINE_BYTES: usize = 400;

pub type OnStderr = Arc<dyn Fn(&str) + Send + Sync>;

pub struct Process {
    child: Mutex<Child>,
    said: Arc<Mutex<VecDeque<String>>>,
    stderr: Mutex<Option<thread::JoinHandle<()>>>,
    #[cfg(windows)]
    _job: Option<windows::Job>,
}

/// What is taken out of it at once.
pub struct Pipes {
    pub stdin: ChildStdin,
    pub stdout: ChildStdout,
}

pub fn start(
    program: &Path,
    args: &[OsString],
    env: &[(OsString, OsString)],
    on_stderr: Option<OnStderr>,
) -> io::Result<(Process, Pipes)> {
    let mut command = Command::new(program);
    command.arg("--stdio").args(args).envs(env.iter().map(|(k, v)| (k, v)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(windows)]
    windows::no_window(&mut command);
    let mut child = command.spawn()?;
    let pipes = Pipes { stdin: take(child.stdin.take())?, stdout: take(child.stdout.take())? };
    let said = Arc::new(Mutex::new(VecDeque::new()));
    let stderr = take(child.stderr.take())?;
    let listener = {
        let said = said.clone();
        thread::Builder::new()
            .name("ingle-worker-stderr".into())
            .spawn(move || listen(stderr, &said, on_stderr.as_deref()))?
    };
    #[cfg(windows)]
    let job = windows::Job::holding(&child);
    let process = Process {
        child: Mutex::new(child),
        said,
        stderr: Mutex::new(Some(listener)),
        #[cfg(windows)]
        _job: job,
    };
    Ok((process, pipes))
}

fn take<T>(stream: Option<T>) -> io::Result<T> {
    stream.ok_or_else(|| io::Error::other("a stream of the child is missing"))
}

fn listen(stderr: impl Read, said: &Mutex<VecDeque<String>>, on_stderr: Option<&(dyn Fn(&str) + Send + Sync)>) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    // A line without end is cut: what a driver prints is not ours to trust.
    while let Ok(n) = (&mut reader).take(64 << 10).read_until(b'\n', &mut line) {
        if n == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        let text: String = text.trim_end().chars().filter(|c| !c.is_control() || *c == '\t').collect();
        line.clear();
        if let Some(call) = on_stderr {
            call(&text);
        }
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() == LINES {
            said.pop_front();
        }
        said.push_back(text.chars().take(LINE_BYTES).collect());
    }
}

impl Process {
    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn id(&self) -> u32 {
        self.child().id()
    }

    pub fn kill(&self) {
        let _ = self.child().kill(); // fails only if it has ended
    }

    /// Waits for the end, and makes one after `patience`. The streams are closed, or about to be.
    pub fn reap(&self, patience: Duration) -> io::Result<ExitStatus> {
        let end = Instant::now() + patience;
        let mut pause = Duration::from_millis(1);
        let status = loop {
            let status = self.child().try_wait()?;
            match status {
                Some(status) => break status,
                None if Instant::now() >= end => {
                    self.kill();
                    break self.child().wait()?;
                }
                None => thread::sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_millis(20));
        };
        // All it said is read now; a grandchild that holds the stream must not hold us.
        let listener = self.stderr.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listener) = listener {
            let end = Instant::now() + Duration::from_millis(200);
            while !listener.is_finished() && Instant::now() < end {
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(status)
    }

    /// The last lines of its standard error.
    pub fn last_words(&self) -> Vec<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().filter(|line| !line.is_empty()).cloned().collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child().wait(); // no zombie
    }
}

/// "was killed by signal 9 (SIGKILL)", "ended with exit code 3".
pub fn describe_end(status: ExitStatus) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if let Some(signal) = status.signal() {
            let name = match signal {
                4 => " (SIGILL)",
                6 => " (SIGABRT)",
                8 => " (SIGFPE)",
                9 => " (SIGKILL)",
                11 => " (SIGSEGV)",
                13 => " (SIGPIPE)",
                15 => " (SIGTERM)",
                7 if cfg!(any(target_os = "linux", target_os = "android")) => " (SIGBUS)",
                10 if cfg!(any(target_vendor = "apple", target_os = "freebsd")) => " (SIGBUS)",
                31 if cfg!(any(target_os = "linux", target_os = "android")) => " (SIGSYS)",
                _ => "",
            };
            return format!("was killed by signal {signal}{name}");
        }
    }
    match status.code().map(|code| code as u32) {
        Some(0xc000_0005) => "was ended by an access violation (0xc0000005)".into(),
        Some(0xc000_00fd) => "was ended by a stack overflow (0xc00000fd)".into(),
        Some(code) if code > 0xffff => format!("ended with code {code:#x}"),
        Some(code) => format!("ended with exit code {code}"),
        None => "ended".into(),
    }
}

/// What most likely helps.
pub fn hint_for(status: ExitStatus) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if status.signal() == Some(9) {
            return "if nobody killed it, the system was out of memory: use a smaller model or context";
        }
    }
    let _ = status;
    "the next request goes to a new process; if this repeats, please report it"
}

/// Windows has no signal that tells a child of its parent's death: a job object ends what is in it when its last handle
/// closes, which the system does for a process that ends in any way. Reviewed, not yet run.
#[cfg(windows)]
mod windows {
    use std::{
        ffi::c_void,
        os::windows::{io::AsRawHandle, process::CommandExt},
        process::{Child, Command},
        ptr,
    };

    const CREATE_NO_WINDOW: u32 = 0x0800_0000;
    const JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE: u32 = 0x2000;
    const EXTENDED_LIMIT_INFORMATION: i32 = 9;

    #[repr(C)]
    #[derive(Default)]
    struct BasicLimits {
        per_process_user_time_limit: i64,
        per_job_user_time_limit: i64,
        limit_flags: u32,
        minimum_working_set_size: usize,
        maximum_working_set_size: usize,
        active_process_limit: u32,
        affinity: usize,
        priority_class: u32,
        scheduling_class: u32,
    }

    #[repr(C)]
    #[derive(Default)]
    struct ExtendedLimits {
        basic: BasicLimits,
        io_counters: [u64; 6],
        process_memory_limit: usize,
        job_memory_limit: usize,
        peak_process_memory_used: usize,
        peak_job_memory_used: usize,
    }

    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn CreateJobObjectW(attributes: *const c_void, name: *const u16) -> *mut c_void;
        fn SetInformationJobObject(job: *mut c_void, class: i32, info: *const c_void, len: u32) -> i32;
        fn AssignProcessToJobObject(job: *mut c_void, process: *mut c_void) -> i32;
        fn CloseHandle(handle: *mut c_void) -> i32;
    }

    pub fn no_window(command: &mut Command) {
        command.creation_flags(CREATE_NO_WINDOW);
    }

    pub struct Job(*mut c_void);

    // SAFETY: a handle may be used from any thread; it is only closed.
    unsafe impl Send for Job {}
    unsafe impl Sync for Job {}

    impl Job {
        /// `None` if the system refuses: the child still ends with its input.
        pub fn holding(child: &Child) -> Option<Job> {
            let limits = ExtendedLimits {
                basic: BasicLimits { limit_flags: JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, ..BasicLimits::default() },
                ..ExtendedLimits::default()
            };
            // SAFETY: plain calls; the structure is as the system declares it and lives during the call.
            unsafe {
                let handle = CreateJobObjectW(ptr::null(), ptr::null());
                if handle.is_null() {
                    return None;
                }
                let job = Job(handle);
                let len = size_of::<ExtendedLimits>() as u32;
                let info = (&raw const limits).cast();
                let ok = SetInformationJobObject(job.0, EXTENDED_LIMIT_INFORMATION, info, len) != 0
                    && AssignProcessToJobObject(job.0, child.as_raw_handle()) != 0;
                ok.then_some(job)
            }
        }
    }

    impl Drop for Job {
        fn drop(&mut self) {
            // SAFETY: ours, and closed once.
            unsafe { CloseHandle(self.0) };
        }
    }
}
