package awsjson_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane/internal/awsjson"
)

// A service is a Handler with one operation, behind a real server.
type service struct {
	*httptest.Server
	log logLines
	do  func(context.Context, *input) (any, error)
}

// logLines passes on the log line by line. A request's line is written after its
// answer.
type logLines chan string

func (l logLines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func (l logLines) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-l:
		return line
	case <-time.After(10 * time.Second):
		t.Fatal("no log line")
		return ""
	}
}

type output struct {
	Name  *string `json:"Name,omitzero"`
	Empty []int   `json:"Empty,omitzero"`
	None  []int   `json:"None,omitzero"`
}

func newService(t testing.TB, change ...func(*awsjson.Config)) *service {
	t.Helper()
	s := &service{log: make(logLines, 100)}
	s.do = func(_ context.Context, in *input) (any, error) { return &output{Name: in.Name, Empty: []int{}}, nil }
	cfg := awsjson.Config{
		TargetPrefix: "Test",
		Operations: map[string]awsjson.Operation{
			"Op":        {Input: &inputSh, Handle: func(ctx context.Context, in any) (any, error) { return s.do(ctx, in.(*input)) }},
			"Shapeless": {Handle: func(context.Context, any) (any, error) { return nil, errors.New("not offered") }},
		},
		Verifier: newVerifier(),
		ErrorOf: func(err error) *awsjson.Error {
			var invalid *awsjson.ValidationError
			switch {
			case errors.As(err, &invalid):
				return &awsjson.Error{Type: "InvalidRequestException", Status: 400, Message: invalid.Message,
					Members: map[string]string{"AthenaErrorCode": "INVALID_INPUT", "ErrorCode": "INVALID_INPUT"}}
			case err.Error() == "not offered":
				return &awsjson.Error{Type: "InvalidRequestException", Status: 400, Message: "Shapeless is not offered."}
			default:
				return awsjson.InternalError()
			}
		},
		Log: slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&cfg)
	}
	s.Server = httptest.NewServer(awsjson.NewHandler(cfg))
	t.Cleanup(s.Close)
	return s
}

// request returns a signed call of Op.
func (s *service) request(body string) *http.Request {
	r, err := http.NewRequest("POST", s.URL+"/", strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "Test.Op")
	rightly().sign(r, body)
	return r
}

// send returns the answer's status and body.
func (s *service) send(t testing.TB, r *http.Request) (*http.Response, string) {
	t.Helper()
	answer, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

func TestHandlerAnswers(t *testing.T) {
	t.Parallel()
	s := newService(t)
	answer, text := s.send(t, s.request(`{"Name":"a"}`))
	if answer.StatusCode != 200 || text != `{"Name":"a","Empty":[]}` {
		t.Errorf("got %d %s", answer.StatusCode, text)
	}
	for header, want := range map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amzn-Errortype": ""} {
		if got := answer.Header.Get(header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
	if id := answer.Header.Get("X-Amzn-Requestid"); len(id) != 36 || !strings.Contains(s.log.next(t), id) {
		t.Errorf("request id %q is not a UUID in the log", id)
	}
	if at, err := http.ParseTime(answer.Header.Get("Date")); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("Date is %q", answer.Header.Get("Date"))
	}
}

func TestHandlerRefuses(t *testing.T) {
	t.Parallel()
	s := newService(t)
	resigned := func(change func(*http.Request)) *http.Request {
		r := s.request(`{"Name":"a"}`)
		r.Header.Del("Authorization")
		change(r)
		rightly().sign(r, `{"Name":"a"}`)
		return r
	}
	const notFound = "<UnknownOperationException/>\n"
	for _, c := range []struct {
		name    string
		request *http.Request
		status  int
		want    string
	}{
		{"an unknown operation", resigned(func(r *http.Request) { r.Header.Set("X-Amz-Target", "Test.Other") }), 400, `{"__type":"UnknownOperationException"}`},
		{"an operation in another case", resigned(func(r *http.Request) { r.Header.Set("X-Amz-Target", "Test.op") }), 400, `{"__type":"UnknownOperationException"}`},
		{"another service", resigned(func(r *http.Request) { r.Header.Set("X-Amz-Target", "Other.Op") }), 400, `{"__type":"UnknownOperationException"}`},
		{"an operation without a service", resigned(func(r *http.Request) { r.Header.Set("X-Amz-Target", "Op") }), 400, `{"__type":"UnknownOperationException"}`},
		{"no target", resigned(func(r *http.Request) { r.Header.Del("X-Amz-Target") }), 400, `{"__type":"UnknownOperationException"}`},
		{"another content type", resigned(func(r *http.Request) { r.Header.Set("Content-Type", "application/x-amz-json-1.0") }), 404, notFound},
		{"no content type", resigned(func(r *http.Request) { r.Header.Del("Content-Type") }), 404, notFound},
		{"another method", resigned(func(r *http.Request) { r.Method = "GET" }), 404, notFound},
		{"another path", resigned(func(r *http.Request) { r.URL.Path = "/x" }), 404, notFound},
		{"a malformed body", s.request(`{"Name":`), 400, `{"__type":"SerializationException"}`},
		{"a wrong type", s.request(`{"Name":1}`), 400, `{"__type":"SerializationException","Message":"NUMBER_VALUE can not be converted to a String"}`},
		{"a broken constraint", s.request(`{}`), 400, `{"__type":"InvalidRequestException","AthenaErrorCode":"INVALID_INPUT","ErrorCode":"INVALID_INPUT",` +
			`"Message":"1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null"}`},
		{"what is not offered, without a look at its body", resigned(func(r *http.Request) { r.Header.Set("X-Amz-Target", "Test.Shapeless") }), 400,
			`{"__type":"InvalidRequestException","Message":"Shapeless is not offered."}`},
		{"chunk-signed bodies", resigned(func(r *http.Request) { r.Header.Set("Content-Encoding", "aws-chunked") }), 400,
			`{"__type":"MalformedHttpRequestException","Message":"Content-Encoding must be gzip, identity or absent."}`},
		{"a body that is not gzip", resigned(func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }), 400,
			`{"__type":"MalformedHttpRequestException","Message":"The body is not gzip, as its Content-Encoding says."}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			answer, text := s.send(t, c.request)
			if answer.StatusCode != c.status || text != c.want {
				t.Errorf("got %d %s\nwant %d %s", answer.StatusCode, text, c.status, c.want)
			}
			if answer.Header.Get("X-Amzn-Requestid") == "" {
				t.Error("no request id")
			}
		})
	}
}

func TestHandlerReadsGzip(t *testing.T) {
	t.Parallel()
	s := newService(t)
	zipped := func(text string) *http.Request {
		var out bytes.Buffer
		zw := gzip.NewWriter(&out)
		_, _ = io.WriteString(zw, text)
		_ = zw.Close()
		r, _ := http.NewRequest("POST", s.URL+"/", bytes.NewReader(out.Bytes()))
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", "Test.Op")
		r.Header.Set("Content-Encoding", "gzip")
		rightly().sign(r, out.String())
		return r
	}
	if answer, text := s.send(t, zipped(`{"Name":"a"}`)); answer.StatusCode != 200 {
		t.Errorf("got %d %s", answer.StatusCode, text)
	}
	bomb := `{"Name":"` + strings.Repeat("a", awsjson.MaxBody) + `"}`
	if answer, text := s.send(t, zipped(bomb)); answer.StatusCode != 413 || !strings.Contains(text, `"__type":"RequestEntityTooLargeException"`) {
		t.Errorf("got %d %s", answer.StatusCode, text)
	}
}

func TestHandlerAnswersToBodiesThatAreTooLarge(t *testing.T) {
	t.Parallel()
	s := newService(t)
	text := `{"Name":"` + strings.Repeat("a", 10<<20) + `"}`
	known, chunked, unknown := s.request(text), s.request(text), s.request(text)
	chunked.ContentLength = -1
	chunked.Body = io.NopCloser(strings.NewReader(text))
	chunked.Header.Del("Authorization")
	rightly().sign(chunked, text)
	unknown.Header.Del("Authorization")
	for _, c := range []struct {
		name    string
		request *http.Request
		status  int
		want    string
	}{
		{"of known length", known, 413, "RequestEntityTooLargeException"},
		{"of unknown length", chunked, 413, "RequestEntityTooLargeException"},
		{"from nobody", unknown, 400, "MissingAuthenticationTokenException"},
	} {
		if answer, text := s.send(t, c.request); answer.StatusCode != c.status || !strings.Contains(text, `"__type":"`+c.want+`"`) {
			t.Errorf("%s: got %d %s", c.name, answer.StatusCode, text)
		}
	}
}

func TestHandlerPassesTheCaller(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var got awsjson.Caller
	s.do = func(ctx context.Context, _ *input) (any, error) {
		got = awsjson.CallerFrom(ctx)
		return &output{}, nil
	}
	for sent, want := range map[string]string{
		"1f0c6b7e-9a3a-4a1e-9d3c-1f8e5f6f7a10": "1f0c6b7e-9a3a-4a1e-9d3c-1f8e5f6f7a10",
		"":                                     "",
		"a b":                                  "",
		strings.Repeat("a", 129):               "",
	} {
		r := s.request(`{"Name":"a"}`)
		r.Header.Set("Amz-Sdk-Invocation-Id", sent)
		answer, _ := s.send(t, r)
		if got.AccessKeyID != keyID || got.Region != "eu-central-1" || got.InvocationID != want || got.RequestID != answer.Header.Get("X-Amzn-Requestid") {
			t.Errorf("caller is %+v", got)
		}
	}
	if (awsjson.CallerFrom(context.Background()) != awsjson.Caller{}) {
		t.Error("a context without a caller has one")
	}
}

func TestHandlerHidesFailuresAndLogsThem(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(context.Context, *input) (any, error){
		"an unknown error":                   func(context.Context, *input) (any, error) { return nil, errors.New("inner words") },
		"a panic":                            func(context.Context, *input) (any, error) { panic("inner words") },
		"an answer that cannot be marshaled": func(context.Context, *input) (any, error) { return map[string]any{"inner words": func() {}}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			s.do = do
			answer, text := s.send(t, s.request(`{"Name":"a"}`))
			want, _ := json.Marshal(awsjson.InternalError())
			if answer.StatusCode != 500 || text != string(want) {
				t.Errorf("got %d %s", answer.StatusCode, text)
			}
			log := s.log.next(t)
			if id := answer.Header.Get("X-Amzn-Requestid"); !strings.Contains(log, id) || !strings.Contains(log, `"level":"ERROR"`) {
				t.Errorf("log is %s", log)
			}
			if name != "an answer that cannot be marshaled" && !strings.Contains(log, "inner words") {
				t.Errorf("log is %s", log)
			}
		})
	}
}

func TestHandlerLogsOneLineWithoutSecretsOrBodies(t *testing.T) {
	t.Parallel()
	s := newService(t)
	r := s.request(`{"Name":"zzz"}`)
	authorization := r.Header.Get("Authorization")
	s.send(t, r)
	log := s.log.next(t)
	var line map[string]any
	if err := json.Unmarshal([]byte(log), &line); err != nil {
		t.Fatalf("not one line: %s", log)
	}
	if line["operation"] != "Op" || line["access_key_id"] != keyID || line["status"] != 200.0 || line["duration_ms"] == nil {
		t.Errorf("line is %s", log)
	}
	signature := authorization[strings.LastIndex(authorization, "=")+1:]
	for _, never := range []string{secret, signature, "zzz"} {
		if strings.Contains(log, never) {
			t.Errorf("log contains %q", never)
		}
	}
}

func TestHandlerLogsAtInfoWhatItFailedAtAndNothingElse(t *testing.T) {
	t.Parallel()
	told := make(logLines, 100)
	s := newService(t, func(c *awsjson.Config) { c.Log = slog.New(slog.NewJSONHandler(told, nil)) })
	s.do = func(_ context.Context, in *input) (any, error) {
		if *in.Name == "bad" {
			return nil, errors.New("inner words")
		}
		return &output{}, nil
	}
	for _, body := range []string{`{"Name":"a"}`, `{"Name":0}`, `{"Name":"bad"}`} {
		s.send(t, s.request(body))
	}
	if log := told.next(t); !strings.Contains(log, "inner words") || !strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("log is %s", log)
	}
}

func TestHandlerLogsWhatARequestIsAbout(t *testing.T) {
	t.Parallel()
	s := newService(t, func(c *awsjson.Config) {
		c.About = func(in any) slog.Attr { return slog.String("name", *in.(*input).Name) }
	})
	for body, want := range map[string]bool{`{"Name":"zzz"}`: true, `{"Name":0}`: false} {
		s.send(t, s.request(body))
		if log := s.log.next(t); strings.Contains(log, `"name":"zzz"`) != want {
			t.Errorf("%s: %s", body, log)
		}
	}
}

func TestHandlerLetsEveryAnswerBeObserved(t *testing.T) {
	t.Parallel()
	answers := make(chan awsjson.Answer, 1)
	s := newService(t, func(c *awsjson.Config) { c.Observe = func(a awsjson.Answer) { answers <- a } })
	s.do = func(_ context.Context, in *input) (any, error) {
		if *in.Name == "bad" {
			return nil, errors.New("inner words")
		}
		return &output{}, nil
	}
	get, err := http.NewRequest("GET", s.URL+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	unsigned := s.request(`{"Name":"a"}`)
	unsigned.Header.Del("Authorization")
	for _, c := range []struct {
		request *http.Request
		want    awsjson.Answer
	}{
		{s.request(`{"Name":"a"}`), awsjson.Answer{Operation: "Op", Status: 200}},
		{s.request(`{"Name":0}`), awsjson.Answer{Operation: "Op", Status: 400, ErrorType: "SerializationException"}},
		{s.request(`{"Name":"bad"}`), awsjson.Answer{Operation: "Op", Status: 500, ErrorType: "InternalServerException"}},
		{unsigned, awsjson.Answer{Operation: "Op", Status: 400, ErrorType: "MissingAuthenticationTokenException"}},
		{get, awsjson.Answer{Status: 404}},
	} {
		s.send(t, c.request)
		got := <-answers
		if got.Took <= 0 {
			t.Errorf("it took %v", got.Took)
		}
		if got.Took = 0; got != c.want {
			t.Errorf("got %+v, want %+v", got, c.want)
		}
	}
}

func TestHandlerGivesUpWhenTheClientHasGone(t *testing.T) {
	t.Parallel()
	s := newService(t)
	started := make(chan struct{})
	s.do = func(ctx context.Context, _ *input) (any, error) {
		close(started)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-started
		cancel()
	}()
	if _, err := s.Client().Do(s.request(`{"Name":"a"}`).WithContext(ctx)); err == nil {
		t.Fatal("got an answer")
	}
	if log := s.log.next(t); !strings.Contains(log, `"status":503`) || !strings.Contains(log, `"level":"DEBUG"`) {
		t.Errorf("log is %s", log)
	}
}

func BenchmarkHandler(b *testing.B) {
	s := newService(b)
	h := s.Config.Handler
	r := s.request(`{"Name":"a"}`)
	b.ReportAllocs()
	for b.Loop() {
		c := r.Clone(context.Background())
		c.Body = io.NopCloser(strings.NewReader(`{"Name":"a"}`))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, c)
		if <-s.log; w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}
