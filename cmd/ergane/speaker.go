package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// A speaker shows a user the progress of what takes long. On a terminal it
// rewrites one line; elsewhere it prints a new line when the progress has changed,
// at most every ten seconds.
type speaker struct {
	mu   sync.Mutex
	w    io.Writer
	tty  bool
	open bool // an unfinished line is on the terminal
	last time.Time
	line string // that was printed last
}

// sayEvery is the shortest time between lines of progress where there is no terminal.
const sayEvery = 10 * time.Second

func newSpeaker(f *os.File) *speaker {
	st, err := f.Stat()
	return &speaker{w: f, tty: err == nil && st.Mode()&os.ModeCharDevice != 0}
}

// say prints a line that stays.
func (s *speaker) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	fmt.Fprintf(s.w, format+"\n", args...)
}

// progress shows what is being done and how far it is.
func (s *speaker) progress(what, detail string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := strings.TrimRight(what+" "+detail, " ")
	if s.tty {
		fmt.Fprintf(s.w, "\r\x1b[K%s", line)
		s.open = true
		return
	}
	if line == s.line || time.Since(s.last) < sayEvery {
		return
	}
	s.last, s.line = time.Now(), line
	fmt.Fprintln(s.w, line)
}

// done removes an unfinished line of progress.
func (s *speaker) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
}

func (s *speaker) clear() {
	if s.open {
		fmt.Fprint(s.w, "\r\x1b[K")
		s.open = false
	}
}
