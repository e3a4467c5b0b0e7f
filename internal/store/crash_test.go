package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/store"
)

// crashEnv makes the test's binary a writer that does not end, on the database it names.
const crashEnv = "ERGANE_TEST_STORE_WRITER"

// TestWhatWasAcknowledgedSurvivesAKill kills writers of one database in the
// middle of their work, and checks that everything they acknowledged is there.
func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ergane.db")
	state := map[string]ergane.CalculationState{} // the last acknowledged one of each calculation
	for round := range 5 {
		for _, line := range killAfter(t, path, 100+40*round) {
			id, s, ok := strings.Cut(line, " ")
			if !ok {
				t.Fatalf("the writer said %q", line)
			}
			state[id] = ergane.CalculationState(s)
		}
		s, err := store.Open(t.Context(), path)
		must(t, err)
		for id, want := range state {
			c, err := s.Calculation(t.Context(), id)
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			// The kill may have come between the commit and its line.
			if got := c.Status.State; got != want && got != ergane.CalculationCompleted {
				t.Errorf("round %d: calculation %s is %s, and was %s", round, id, got, want)
			}
			code, err := s.CalculationCode(t.Context(), id)
			if err != nil || code != "print(1)" {
				t.Errorf("round %d: the code of %s is %q: %v", round, id, code, err)
			}
		}
		consistent(t, s)
		must(t, s.Close())
	}
	if len(state) < 5*50 {
		t.Errorf("only %d calculations were acknowledged", len(state))
	}
}

// consistent checks that no transaction was half done: a session is BUSY exactly
// while it has an open calculation.
func consistent(t *testing.T, s *store.Store) {
	t.Helper()
	live, err := s.LiveSessions(t.Context(), "")
	must(t, err)
	for _, n := range live {
		open, err := s.OpenCalculations(t.Context(), n.ID)
		must(t, err)
		if (n.Status.State == ergane.SessionBusy) != (len(open) == 1) {
			t.Errorf("session %s is %s with %d open calculations", n.ID, n.Status.State, len(open))
		}
	}
	var verdict string
	must(t, s.Readers().QueryRow("PRAGMA integrity_check").Scan(&verdict))
	if verdict != "ok" {
		t.Errorf("the database is damaged: %s", verdict)
	}
}

// killAfter runs a writer, kills it when it has printed so many lines, and
// returns all lines that it printed.
func killAfter(t *testing.T, path string, lines int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, fmt.Errorf("the writer is stuck"))
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var said []string
	for in := bufio.NewScanner(out); in.Scan(); {
		said = append(said, in.Text())
		if len(said) == lines {
			must(t, cmd.Process.Kill())
		}
	}
	if err := cmd.Wait(); len(said) < lines {
		t.Fatalf("the writer ended after %d lines: %v", len(said), err)
	}
	return said
}

// crashChild submits and settles until it is killed, and prints each state when it is committed.
func crashChild(path string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	s, err := store.Open(ctx, path)
	fail(err)
	if err := s.CreateWorkGroup(ctx, workGroup("primary")); ergane.CodeOf(err) != ergane.CodeInvalid {
		fail(err)
	}
	n, _, err := s.CreateSession(ctx, ergane.Session{ID: newID(), WorkGroup: "primary", Status: ergane.SessionStatus{StartedAt: dawn}}, nil, ergane.Limits{})
	fail(err)
	_, _, err = s.MoveSession(ctx, ergane.SessionReady(n.ID, dawn))
	fail(err)
	for {
		c, _, err := s.Submit(ctx, ergane.Calculation{ID: newID(), SessionID: n.ID, Code: "print(1)", Status: ergane.CalculationStatus{SubmittedAt: dawn}},
			[]ergane.Token{{Scope: "s", Value: newID(), Until: dawn}})
		fail(err)
		fmt.Println(c.ID, c.Status.State)
		c, _, _, err = s.Settle(ctx, ergane.CalculationCompletes(c.ID, dawn), ergane.SessionFreed(n.ID, dawn))
		fail(err)
		fmt.Println(c.ID, c.Status.State)
	}
}
