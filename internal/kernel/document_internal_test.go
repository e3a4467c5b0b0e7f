package kernel

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

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
			ergane.Outcome{State: ergane.CalculationFailed, Reason: "E: v", StartedAt: at, EndedAt: at,
				Stdout: ergane.Range{Start: 1, End: 2}, Stderr: ergane.Range{Start: 3, End: 4}, Outputs: 5}, false},
		"an error on COMPLETED":     {head + `"COMPLETED","error":{"name":"E","value":"v"}}`, ergane.Outcome{State: ergane.CalculationCompleted}, false},
		"negative times":            {head + `"CANCELED","start":-1,"end":-1e300}`, ergane.Outcome{State: ergane.CalculationCanceled}, false},
		"times beyond the calendar": {head + `"CANCELED","start":1e300,"end":1e18}`, ergane.Outcome{State: ergane.CalculationCanceled}, false},
		"an end before the start":   {head + `"CANCELED","start":1700000000.5,"end":5}`, ergane.Outcome{State: ergane.CalculationCanceled, StartedAt: at, EndedAt: at}, false},
		"ranges backwards and negative": {head + `"COMPLETED","stdout":[9,3],"stderr":[-9,-3],"outputs":-1}`,
			ergane.Outcome{State: ergane.CalculationCompleted, Stdout: ergane.Range{Start: 9, End: 9}}, false},
		"the longest range": {head + `"COMPLETED","stdout":[-9223372036854775808,9223372036854775807]}`,
			ergane.Outcome{State: ergane.CalculationCompleted, Stdout: ergane.Range{End: math.MaxInt64}}, false},
		"null":                         {`null`, ergane.Outcome{}, true},
		"nothing":                      {``, ergane.Outcome{}, true},
		"half":                         {head + `"COMPLETED"`, ergane.Outcome{}, true},
		"another version":              {`{"v":2,"id":"c","state":"COMPLETED"}`, ergane.Outcome{}, true},
		"another calculation":          {`{"v":1,"id":"d","state":"COMPLETED"}`, ergane.Outcome{}, true},
		"Java's lines after its first": {head + `"FAILED","error":{"name":"Py4JJavaError","value":"An error\n occurred\n\tat org.apache"}}`, ergane.Outcome{State: ergane.CalculationFailed, Reason: "Py4JJavaError: An error occurred"}, false},
		"an error without a text":      {head + `"FAILED","error":{"name":"KeyError","value":" "}}`, ergane.Outcome{State: ergane.CalculationFailed, Reason: "KeyError"}, false},
		"what could not be written":    {head + `"COMPLETED","unrecorded":"disk full"}`, ergane.Outcome{State: ergane.CalculationFailed, Reason: "the kernel could not record the outcome: disk full"}, false},
		"RUNNING":                      {head + `"RUNNING"}`, ergane.Outcome{}, true},
		"no state":                     {`{"v":1,"id":"c"}`, ergane.Outcome{}, true},
		"a state in small letters":     {head + `"completed"}`, ergane.Outcome{}, true},
		"NaN":                          {head + `"COMPLETED","start":NaN}`, ergane.Outcome{}, true},
		"an offset beyond 64 bits":     {head + `"COMPLETED","stdout":[0,9223372036854775808]}`, ergane.Outcome{}, true},
		"an offset with a fraction":    {head + `"COMPLETED","stdout":[0.5,1]}`, ergane.Outcome{}, true},
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

func TestExitsAreReadAndDescribed(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		`{"v":1,"code":137,"signal":9}`:               "was killed by signal 9 (killed)",
		`{"v":1,"code":52,"signal":0,"detail":"why"}`: "exited with status 52: why",
		`{"v":1,"code":0,"signal":0}`:                 "exited with status 0",
		`{"v":1,"code":null,"signal":null}`:           "ended without leaving a record",
	} {
		exit, err := parseExit([]byte(doc))
		if err != nil || exit.String() != want {
			t.Errorf("%s: %q, %v; want %q", doc, exit, err, want)
		}
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
		if len(o.Reason) > maxErrorName+len(": ")+maxErrorValue || !utf8.ValidString(o.Reason) {
			t.Fatalf("unbounded or broken text: %q", o.Reason)
		}
		if _, err := json.Marshal(o); err != nil { // a time after the year 9999 has no JSON form
			t.Fatal(err)
		}
	})
}
