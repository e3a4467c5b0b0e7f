package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ergane-dev/ergane/internal/testkit/fakehost"
)

// Golden wire files: testdata/golden/<operation>/<case>.http is a request and
// its answer as they go over the wire, without the signature and with JSON
// spread out. They show what the API looks like, and are reviewed like code.
//
// To add a case, add a step to a scenario in scenarios_test.go, or a scenario,
// run
//
//	go test ./internal/api -run Golden -update
//
// and read the file that it writes. The steps of a scenario happen one after
// the other, a second apart, on a server of their own whose first second is
// 2000-01-01T00:00:01Z (946684801). Before each step, all goroutines of the server
// wait for something.
//
// Random values have names, numbered as they appear in the scenario's answers:
// <session-1>, <calculation-1>, <executor-1>, <token-1> (a page's). In a request
// they stand for the value that got the name before, and <5 characters> for xxxxx.

var rewrite = flag.Bool("update", false, "rewrite the golden files")

const goldenDir = "testdata/golden"

// A scenario is what happens to one server.
type scenario struct {
	name  string
	steps []step
}

// A step is one request, or something else that happens.
type step struct {
	name string // of the file: operation/case
	body string
	// What is unusual about the request.
	target      string        // "-" means none; default: the operation
	contentType string        // default: that of the protocol
	unsigned    bool          //
	secret      string        // signed with, in place of the right one
	late        time.Duration // how long ago it was signed
	// happens is called instead of sending a request.
	happens func(*harness)
}

func TestGoldenFiles(t *testing.T) {
	written := map[string]bool{}
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			withHarness(t, func(h *harness) {
				n := names{byValue: map[string]string{}, last: map[string]int{}}
				for _, s := range sc.steps {
					time.Sleep(time.Second)
					synctest.Wait()
					if s.happens != nil {
						s.happens(h)
						continue
					}
					path := filepath.Join(goldenDir, strings.ReplaceAll(s.name, " ", "-")+".http")
					if written[path] {
						t.Fatalf("two steps are named %s", s.name)
					}
					written[path] = true
					compare(t, path, h.exchange(s, n))
				}
			})
		})
	}
	if t.Failed() {
		return
	}
	err := filepath.WalkDir(goldenDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || written[path] {
			return err
		}
		if *rewrite {
			return os.Remove(path)
		}
		t.Errorf("%s belongs to no step", path)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func compare(t *testing.T, path, got string) {
	t.Helper()
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Errorf("%v: run the test with -update, and read what it writes", err)
		return
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-file +answer):\n%s", path, diff)
	}
}

// exchange sends a step's request and returns the text of the step's file.
func (h *harness) exchange(s step, n names) string {
	h.Helper()
	operation, _, ok := strings.Cut(s.name, "/")
	if !ok {
		h.Fatalf("%q is not of the form operation/case", s.name)
	}
	target := map[string]string{"": "AmazonAthena." + operation, "-": ""}[s.target]
	if s.target != "" && s.target != "-" {
		target = s.target
	}
	body := n.resolve(h, s.body)
	r := request(target, body)
	if s.contentType != "" {
		r.Header.Set("Content-Type", s.contentType)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s HTTP/1.1\n", r.Method, r.URL.Path)
	writeMessage(&out, r.Header, s.body)
	secret := testSecret
	if s.secret != "" {
		secret = s.secret
	}
	if !s.unsigned {
		sign(r, body, secret, time.Now().Add(-s.late))
	}
	w := h.send(r)
	if w.Code >= 500 {
		h.Errorf("%s: %d %s", s.name, w.Code, w.Body)
	}
	header := w.Header().Clone()
	delete(header, "Content-Length")
	map[string][]string(header)[requestIDHeader] = []string{"<request-id>"}
	fmt.Fprintf(&out, "\nHTTP/1.1 %d %s\n", w.Code, http.StatusText(w.Code))
	writeMessage(&out, header, n.name(sortExecutors(w.Body.String())))
	return out.String()
}

func writeMessage(out *strings.Builder, header http.Header, body string) {
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			fmt.Fprintf(out, "%s: %s\n", name, value)
		}
	}
	var spread bytes.Buffer
	if json.Indent(&spread, []byte(body), "", "  ") == nil {
		body = spread.String()
	}
	fmt.Fprintf(out, "\n%s\n", strings.TrimSuffix(body, "\n"))
}

// names are those of the random values of a scenario.
type names struct {
	byValue map[string]string
	last    map[string]int // the number of the last name, by kind
}

var (
	random  = regexp.MustCompile(`"(SessionId|CalculationExecutionId|ExecutorId|NextToken)":"([^"]+)"`)
	kinds   = map[string]string{"SessionId": "session", "CalculationExecutionId": "calculation", "ExecutorId": "executor", "NextToken": "token"}
	repeats = regexp.MustCompile(`<(\d+) characters>`)
)

// name puts names in place of the random values of an answer.
func (n names) name(body string) string {
	for _, m := range random.FindAllStringSubmatch(body, -1) {
		if kind, value := kinds[m[1]], m[2]; n.byValue[value] == "" {
			n.last[kind]++
			n.byValue[value] = fmt.Sprintf("<%s-%d>", kind, n.last[kind])
		}
	}
	for value, name := range n.byValue {
		body = strings.ReplaceAll(body, value, name)
	}
	return body
}

// resolve puts the values in place of the names in a request.
func (n names) resolve(h *harness, body string) string {
	for value, name := range n.byValue {
		body = strings.ReplaceAll(body, name, value)
	}
	body = repeats.ReplaceAllStringFunc(body, func(s string) string {
		count, _ := strconv.Atoi(repeats.FindStringSubmatch(s)[1])
		return strings.Repeat("x", count)
	})
	if unknown := regexp.MustCompile(`<[a-z]+-\d+>`).FindString(body); unknown != "" {
		h.Fatalf("no value has the name %s yet", unknown)
	}
	return body
}

// sortExecutors sorts the executors of an answer by type: those of the same
// moment come in the order of their ids, which are random.
func sortExecutors(body string) string {
	var answer struct{ ExecutorsSummary []json.RawMessage }
	if json.Unmarshal([]byte(body), &answer) != nil || len(answer.ExecutorsSummary) < 2 {
		return body
	}
	kind := regexp.MustCompile(`"ExecutorType":"[A-Z]+"`)
	was := bytes.Join(raws(answer.ExecutorsSummary), []byte(","))
	slices.SortFunc(answer.ExecutorsSummary, func(a, b json.RawMessage) int { return bytes.Compare(kind.Find(a), kind.Find(b)) })
	return strings.Replace(body, string(was), string(bytes.Join(raws(answer.ExecutorsSummary), []byte(","))), 1)
}

func raws(all []json.RawMessage) (out [][]byte) {
	for _, r := range all {
		out = append(out, r)
	}
	return out
}

// machine changes what goes wrong on the server's machine.
func machine(f fakehost.Faults) step {
	return step{happens: func(h *harness) { h.machine.Set(f) }}
}
