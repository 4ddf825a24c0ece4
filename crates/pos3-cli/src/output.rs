//! The two streams: data on stdout, everything else on stderr. No other module prints; only the bars are drawn by the library.
//!
//! If a reader closes its end (`pos3 ls … | head`), that is neither a failure nor a panic. Data that cannot be written is an
//! error in every command: a full disk must not look like an empty listing.

mod stdout;
mod text;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::path::Path;
use std::sync::{Mutex, PoisonError, TryLockError};

use pos3::{OwnFiles, ProgressObserver};

use crate::name;

pub(crate) use stdout::{Reader, data, end, is_writing, writes};
pub(crate) use text::{Out, Text, message};

/// The progress whose bars are on the terminal, if there are any. It is global because all commands share the terminal.
static BARS: Mutex<Option<ProgressObserver>> = Mutex::new(None);

/// Writes a path to stdout. It is exact, unless stdout is a terminal; then it is escaped.
pub(crate) fn path(out: &mut Out<'_>, path: &Path) -> io::Result<()> {
    if io::stdout().is_terminal() { writeln!(out, "{}", path.display()) } else { out.path(path) }
}

/// Returns true if stderr is a terminal.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Returns true if progress is shown as bars.
pub(crate) fn has_bars() -> bool {
    is_watched() && BARS.lock().unwrap_or_else(PoisonError::into_inner).is_some()
}

/// Adds the files that stdout and stderr are redirected to.
pub(crate) fn add_own_files(own: &OwnFiles) {
    own.add_open(io::stdout());
    own.add_open(io::stderr());
}

/// Sets or removes the progress whose bars are on the terminal.
pub(crate) fn set_bars(bars: Option<ProgressObserver>) {
    *BARS.lock().unwrap_or_else(PoisonError::into_inner) = bars;
}

/// Writes lines to stderr, between two drawings of the bars. Errors are ignored, because there is no other place to report
/// them.
pub(crate) fn notes(make: impl FnOnce(&mut Out<'_>) -> io::Result<()>) {
    match BARS.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        Some(bars) => bars.suspend(|| write(make)),
        None => write(make),
    }
}

/// Writes lines to stderr.
pub(crate) fn text(text: &Text) {
    notes(|out| out.text(text));
}

/// Writes one line to stderr. A newline at its end may be left out.
pub(crate) fn note(line: &str) {
    text(&Text::of(line.strip_suffix('\n').unwrap_or(line)));
}

/// Writes an error and its hint to stderr.
pub(crate) fn error(message: &str, hint: Option<&str>) {
    say("error", message, hint);
}

/// Writes an error and its hint to stderr, after the names of the program and the command. Scripts look for such lines.
pub(crate) fn command_error(command: &str, message: &str, hint: Option<&str>) {
    say(&format!("{} {command}", name::name()), message, hint);
}

/// Writes the message of a panic, which the standard library would print without escapes.
pub(crate) fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(|place| format!(" ({}:{})", place.file(), place.line())).unwrap_or_default();
    let why = panic.payload_as_str().unwrap_or("a panic without a message");
    let mut message = Text::of(format!("error: this is a defect in {}: {why}{place}", name::name()));
    message
        .line("hint: report it with the command line; what was being done may be incomplete, so run the command again");
    // The thread may have panicked while it held the bars.
    let is_taken = matches!(BARS.try_lock(), Err(TryLockError::WouldBlock));
    if is_taken { write(|out| out.text(&message)) } else { text(&message) }
}

fn say(who: &str, message: &str, hint: Option<&str>) {
    notes(|out| {
        writeln!(out, "{who}: {message}")?;
        hint.map_or(Ok(()), |hint| writeln!(out, "hint: {hint}"))
    });
}

fn write(make: impl FnOnce(&mut Out<'_>) -> io::Result<()>) {
    let mut out = BufWriter::new(io::stderr().lock());
    let _ = make(&mut Out::for_messages(&mut out)).and_then(|()| out.flush());
    // After a failed flush, dropping the buffer would try to write it again.
    let _ = out.into_parts();
}
