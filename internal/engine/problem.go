package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// A Problem is why a setup failed, for the person who ran it: what is wrong,
// and what to do about it.
type Problem struct {
	Step   string // the step that failed, as in Progress
	What   string // the first half of a sentence, without a full stop
	Advice string // the second half, an imperative; may be empty
	Cause  error  // what the program or the system said; may be nil
}

func (p *Problem) Error() string {
	text := p.What
	if p.Cause != nil {
		text += " (" + p.Cause.Error() + ")"
	}
	if p.Advice != "" {
		text += ": " + strings.ToLower(p.Advice[:1]) + p.Advice[1:]
	}
	return text + "."
}

func (p *Problem) Unwrap() error { return p.Cause }

// signs are known causes of failure, by what the programs print. The first match
// wins, so specific ones come before general ones.
var signs = []struct {
	any          []string
	what, advice string
}{
	{[]string{"no space left on device", "errno 28", "disk quota exceeded"},
		"The disk is full", "Free at least 2 GB below the engine folder, or choose another with --engine-dir, and run the setup again"},
	{[]string{"do not match the hashes", "hash mismatch", "incompletereaderror", "incomplete-download", "incomplete download", "notgzip", "not a gzip file", "badzipfile"},
		"A download is damaged: it is not the file that the lock file names", "Run the setup again; if it fails again, the package index (or a proxy in front of it) serves other files"},
	{[]string{"certificate_verify_failed", "sslerror", "pkix path building failed", "certificateexception"},
		"The package index's certificate is not trusted", "Point PIP_CERT and SSL_CERT_FILE to the certificates of your network"},
	{[]string{"ensurepip is not available", "no module named venv", "no module named ensurepip"},
		"This Python cannot make virtual environments", "Install its venv module (Debian and Ubuntu: apt install python3-venv) or set ERGANE_PYTHON to another Python"},
	{[]string{"temporary failure in name resolution", "name or service not known", "network is unreachable", "connection refused", "unknownhostexception", "connectexception",
		"newconnectionerror", "nameresolutionerror", "connecttimeout", "readtimeout", "read timed out", "connection reset", "connection broken", "could not find a version", "no matching distribution",
		"noroutetohost", "sockettimeout", "proxyerror", "server access error", "unresolved dependencies"},
		"The package index cannot be reached, or does not have the file", "Check the network and the configuration of pip (pip config list) and run the setup again; what is already there is kept"},
	{[]string{"permission denied", "read-only file system", "errno 13", "errno 30"},
		"The engine folder cannot be written", "Make it writable or choose another with --engine-dir"},
}

// explain turns a failed step into a Problem by what its program printed.
func explain(step, output string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Problem](err); ok || errors.Is(err, context.Canceled) {
		return err
	}
	said := strings.ToLower(output)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		said = "no space left on device"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		said = "permission denied"
	}
	cause := err
	if last := wordsOf(output); last != "" {
		cause = fmt.Errorf("%w: %s", err, last)
	}
	for _, sign := range signs {
		for _, words := range sign.any {
			if strings.Contains(said, words) {
				return &Problem{Step: step, What: sign.what, Advice: sign.advice, Cause: cause}
			}
		}
	}
	return &Problem{Step: step, What: "The setup failed at the step " + step,
		Advice: "Read " + logFile + " in the engine's folder and run the setup again", Cause: cause}
}

// wordsOf picks the line of a program's output that best says what failed.
func wordsOf(output string) string {
	best := ""
	for text := range strings.Lines(output) {
		text = strings.TrimSpace(text)
		if strings.HasPrefix(text, "ERROR: ") || strings.Contains(text, "Error: ") || strings.Contains(text, "Exception: ") {
			best = strings.TrimPrefix(text, "ERROR: ")
		}
	}
	if best == "" {
		best = lastLine(output)
	}
	const most = 300
	if len(best) > most {
		best = strings.ToValidUTF8(best[:most], "") + "…"
	}
	return best
}
