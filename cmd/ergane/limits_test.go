package main

import (
	"strings"
	"testing"
	"time"
)

func TestSizesAreReadInPowersOf1024(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"0": 0, "7": 7, "900m": 900 << 20, "16G": 16 << 30, "1k": 1 << 10, "2t": 2 << 40} {
		var got byteSize
		if err := got.UnmarshalText([]byte(text)); err != nil || int64(got) != want {
			t.Errorf("%s: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "g", "-1", "1gg", "1.5g", "1p", "1 g", "99999999999t"} {
		var got byteSize
		if err := got.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "is not a size") {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func TestNegativeLimitsAreRefused(t *testing.T) {
	t.Parallel()
	if err := (limitFlags{MaxRunTime: -time.Second}).check(); err == nil || !strings.HasPrefix(err.Error(), "--max-run-time is negative") {
		t.Error(err)
	}
	if err := (limitFlags{MaxSessions: 1}).check(); err != nil {
		t.Error(err)
	}
}

func TestMemoryIsBoundedByThatOfTheMachine(t *testing.T) {
	t.Parallel()
	if got := (limitFlags{}).live().Memory; got < 100<<20 || got > 1<<50 {
		t.Errorf("%d bytes by default", got)
	}
	if got := (limitFlags{MaxMemory: 5}).live().Memory; got != 5 {
		t.Errorf("%d bytes, asked for 5", got)
	}
}
