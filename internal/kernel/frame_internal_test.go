package kernel

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func FuzzFrames(f *testing.F) {
	f.Add([]byte("{\"re\":1,\"state\":\"done\"}\n{\"ev\":\"done\",\"id\":\"x\"}\nhalf"))
	f.Add([]byte("\n\n{}\n[]\n{\"re\":1,\"executors\":[{\"id\":\"driver\"}]}\n"))
	f.Add(bytes.Repeat([]byte("x"), 5000))
	f.Add([]byte("{\"ev\":\"" + strings.Repeat("long", 3000) + "\"}\n{\"ev\":\"next\"}\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		var want [][]byte // the whole lines that are frames
		lines := bytes.SplitAfter(stream, []byte("\n"))
		for _, line := range lines[:len(lines)-1] {
			if len(line) > maxFrame+1 {
				break
			}
			if _, ok := parseFrame(line); ok {
				want = append(want, line)
			}
		}
		r := newFrameReader(bytes.NewReader(stream))
		for {
			fr, err := r.next()
			if err != nil {
				break
			}
			if fr.Re <= 0 && fr.Ev == "" || len(want) == 0 || !bytes.Equal(fr.line, want[0]) {
				t.Fatalf("not a frame, or not the next: %+v", fr)
			}
			want = want[1:]
			parseExecutors(fr)
		}
		if len(want) > 0 {
			t.Fatalf("%d frames were lost, the first of them %q", len(want), want[0])
		}
	})
}

func TestFramesOfAnyLengthUpToTheLimitAreRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var stream bytes.Buffer
		var want []string
		for range rapid.IntRange(0, 8).Draw(t, "frames") {
			if rapid.Bool().Draw(t, "junk") {
				stream.WriteString(strings.Repeat("{", rapid.IntRange(0, 9000).Draw(t, "junk length")) + "\n")
			}
			id := strings.Repeat("a", rapid.IntRange(1, 9000).Draw(t, "length"))
			want = append(want, id)
			stream.WriteString(`{"ev":"done","id":"` + id + "\"}\n")
		}
		r := newFrameReader(&stream)
		for _, id := range want {
			f, err := r.next()
			if err != nil || f.ID != id {
				t.Fatalf("got %d bytes of id, %v; want %d", len(f.ID), err, len(id))
			}
		}
		if _, err := r.next(); err != io.EOF {
			t.Fatalf("at the end: %v", err)
		}
	})
}

func TestAFrameBeyondTheLimitEndsTheConnection(t *testing.T) {
	t.Parallel()
	for _, extra := range []int{0, 1} {
		pad := maxFrame - len(`{"ev":""}`) + extra
		r := newFrameReader(strings.NewReader(`{"ev":"` + strings.Repeat("x", pad) + "\"}\n"))
		_, err := r.next()
		if tooLong := errors.Is(err, errFrameTooLong); tooLong != (extra == 1) {
			t.Errorf("%d bytes beyond the limit: %v", extra, err)
		}
	}
}

func TestAFloodIsSlowedDownAndNotLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const frames = 3*floodFrames + 1
		r := newFrameReader(strings.NewReader(strings.Repeat("{\"ev\":\"done\"}\n", frames)))
		began := time.Now()
		for range frames {
			if _, err := r.next(); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took < 2*floodWindow || took > 4*floodWindow {
			t.Errorf("%d frames took %v", frames, took)
		}
	})
}
