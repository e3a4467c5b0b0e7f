// Package testkit holds what the tests of several packages share. Nothing but
// tests imports it.
package testkit

import (
	"errors"
	"testing"
	"time"
)

// Await polls until done returns true, and fails the test if that takes longer
// than within. It calls done at least once, and from the test's own goroutine, so
// done may end the test itself.
func Await(t testing.TB, within time.Duration, done func() bool) {
	t.Helper()
	AwaitOK(t, within, func() error {
		if done() {
			return nil
		}
		return errNotYet
	})
}

// AwaitOK polls until try returns no error and fails the test with the last
// error if that takes longer than within.
func AwaitOK(t testing.TB, within time.Duration, try func() error) {
	t.Helper()
	end := time.Now().Add(within)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if !time.Now().Before(end) {
			t.Fatalf("still not after %v: %v", within, err)
		}
		time.Sleep(pause)
	}
}

var errNotYet = errors.New("the condition does not hold")
