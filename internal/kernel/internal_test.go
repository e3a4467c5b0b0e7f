package kernel

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/ergane-dev/ergane"
)

func TestOutcomesAreReadOrRefused(t *testing.T) {
	t.Parallel()
	const head = `{"v":1,"id":"c","state":`
	at := time.Unix(1700000000, 500000000).UTC()
	for name, tc := range map[string]struct {
		doc  string
		want ergane.Outcome
		bad  bool
	}{
		"an honest one": {head + `"FAILED","error":{"name":"E","value":"v"},"start":1700000000.5,"end":1700000000.5,"stdout":[1,2],"stderr":[3,4],"outputs":5}`,
			ergane.Outcome{State: ergane.CalculationFailed, ErrorName: "E", ErrorValue: "v", StartedAt: at, EndedAt: at,
				Stdout: ergane.Range{Start: 1, End: 2}, Stderr: ergane.Range{Start: 3, End: 4}, Outputs: 5}, false},
		"an error on COMPLETED":     {head + `"COMPLETED","error":{"name":"E","value":"v"}}`, ergane.Outcome{State: ergane.CalculationCompleted}, false},
		"negative times":            {head + `"CANCELED","start":-1,"end":-1e300}`, ergane.Outcome{State: ergane.CalculationCanceled}, false},
		"times beyond the calendar": {head + `"CANCELED","start":1e300,"end":1e18}`, ergane.Outcome{State: ergane.CalculationCanceled}, false},
		"an end before the start":   {head + `"CANCELED","start":1700000000.5,"end":5}`, ergane.Outcome{State: ergane.CalculationCanceled, StartedAt: at, EndedAt: at}, false},
		"ranges backwards and negative": {head + `"COMPLETED","stdout":[9,3],"stderr":[-9,-3],"outputs":-1}`,
			ergane.Outcome{State: ergane.CalculationCompleted, Stdout: ergane.Range{Start: 9, End: 9}}, false},
		"the longest range": {head + `"COMPLETED","stdout":[-9223372036854775808,9223372036854775807]}`,
			ergane.Outcome{State: ergane.CalculationCompleted, Stdout: ergane.Range{End: math.MaxInt64}}, false},
		"null":                      {`null`, ergane.Outcome{}, true},
		"nothing":                   {``, ergane.Outcome{}, true},
		"half":                      {head + `"COMPLETED"`, ergane.Outcome{}, true},
		"another version":           {`{"v":2,"id":"c","state":"COMPLETED"}`, ergane.Outcome{}, true},
		"another calculation":       {`{"v":1,"id":"d","state":"COMPLETED"}`, ergane.Outcome{}, true},
		"RUNNING":                   {head + `"RUNNING"}`, ergane.Outcome{}, true},
		"no state":                  {`{"v":1,"id":"c"}`, ergane.Outcome{}, true},
		"a state in small letters":  {head + `"completed"}`, ergane.Outcome{}, true},
		"NaN":                       {head + `"COMPLETED","start":NaN}`, ergane.Outcome{}, true},
		"an offset beyond 64 bits":  {head + `"COMPLETED","stdout":[0,9223372036854775808]}`, ergane.Outcome{}, true},
		"an offset with a fraction": {head + `"COMPLETED","stdout":[0.5,1]}`, ergane.Outcome{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parseOutcome([]byte(tc.doc), "c")
			if got != tc.want || (err != nil) != tc.bad {
				t.Errorf("got %+v, %v\nwant %+v, an error: %v", got, err, tc.want, tc.bad)
			}
		})
	}
}

func FuzzOutcome(f *testing.F) {
	f.Add([]byte(`{"v":1,"id":"c","state":"FAILED","error":{"name":"E","value":"v"},"start":1.5,"end":2,"stdout":[1,2],"stderr":[3,4],"outputs":5}`))
	f.Add([]byte(`{"v":1,"id":"c","state":"CANCELED","error":{"name":"` + strings.Repeat("é", 5000) + `","value":null},"stdout":[5,-1]}`))
	f.Add([]byte(`{"v":1e0,"id":"c"}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		o, err := parseOutcome(doc, "c")
		if err != nil {
			if o != (ergane.Outcome{}) {
				t.Fatalf("an outcome beside an error: %+v", o)
			}
			return
		}
		if !o.State.Terminal() || o.Outputs < 0 || o.EndedAt.Before(o.StartedAt) {
			t.Fatalf("incredible: %+v", o)
		}
		for _, r := range []ergane.Range{o.Stdout, o.Stderr} {
			if r.Start < 0 || r.Len() < 0 {
				t.Fatalf("incredible range %+v", r)
			}
		}
		if len(o.ErrorName) > maxErrorName || len(o.ErrorValue) > maxErrorValue || !utf8.ValidString(o.ErrorName+o.ErrorValue) {
			t.Fatalf("unbounded or broken text: %q", o.ErrorName)
		}
		if _, err := json.Marshal(o); err != nil { // a time beyond the calendar has no JSON
			t.Fatal(err)
		}
	})
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("{\"re\":1,\"state\":\"done\"}\n{\"ev\":\"done\",\"id\":\"x\"}\nhalf"))
	f.Add([]byte("\n\n{}\n[]\n{\"re\":1,\"executors\":[{\"id\":\"driver\"}]}\n"))
	f.Add(bytes.Repeat([]byte("x"), 5000))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := newFrameReader(bytes.NewReader(stream))
		for {
			fr, err := r.next()
			if err != nil {
				return
			}
			if fr.Re <= 0 && fr.Ev == "" || len(fr.line) > maxFrame+1 {
				t.Fatalf("not a frame: %+v", fr)
			}
			parseExecutors(fr)
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

func TestTheLogKeepsItsEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			rt.Fatal(err)
		}
		defer root.Close()
		const limit = 64
		ring, err := openLogRing(root, limit)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { ring.f.Close() }()
		reader, err := OpenLog(dir)
		if err != nil {
			rt.Fatal(err)
		}
		defer reader.Close()
		var all, followed []byte
		for i := range rapid.IntRange(0, 30).Draw(rt, "writes") {
			p := bytes.Repeat([]byte{'a' + byte(i%26)}, rapid.IntRange(1, limit).Draw(rt, "length"))
			all = append(all, p...)
			ring.Write(p)
			b, err := io.ReadAll(reader)
			if err != nil {
				rt.Fatal(err)
			}
			followed = append(followed, b...)
		}
		if !bytes.Equal(followed, all) {
			rt.Fatalf("a reader that keeps up has read %d of %d bytes", len(followed), len(all))
		}
		late, err := OpenLog(dir)
		if err != nil {
			rt.Fatal(err)
		}
		defer late.Close()
		kept, err := io.ReadAll(late)
		if err != nil || !bytes.HasSuffix(all, kept) || len(kept) < min(len(all), limit-limit/2) || len(kept) > 2*limit {
			rt.Fatalf("kept %d of %d bytes, %v", len(kept), len(all), err)
		}
	})
}

func TestTheLogNeverFailsItsWriter(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	ring, err := openLogRing(root, 4)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if n, err := ring.Write([]byte("abc")); n != 3 || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
}

func TestAProgramsNameDoesNotConfuseItsStat(t *testing.T) {
	t.Parallel()
	const line = "42 (a) R 1 (b)) S 7 8 9 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0"
	st, err := parseStat([]byte(line))
	if want := (procStat{ppid: 7, group: 8, session: 9, start: 12345}); err != nil || st != want {
		t.Errorf("got %+v, %v; want %+v", st, err, want)
	}
	for _, bad := range []string{"", "42", "42 (x)", "42 (x) S 1 2 3", strings.Replace(line, "12345", "x", 1)} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestEveryServersEpochsAreHigher(t *testing.T) {
	t.Parallel()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var last int64
	for range 3 {
		e, err := takeEpochs(root)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			n := e.next()
			if n <= last {
				t.Fatalf("%d after %d", n, last)
			}
			last = n
		}
	}
}
