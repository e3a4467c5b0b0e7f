package awsjson_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane/internal/awsjson"
)

// raw is a request as bytes, signed for a body; change may spoil its lines, of
// which the first is the request line. What is sent follows.
func (s *service) raw(body, sent string, change func(lines []string) []string) string {
	r := s.request(body)
	r.Header.Del("Authorization")
	r.ContentLength = -1 // so that the signer leaves it out
	rightly().sign(r, body)
	lines := []string{"POST / HTTP/1.1", "Host: " + r.Host}
	for _, name := range []string{"Content-Type", "X-Amz-Target", "X-Amz-Date", "Authorization"} {
		lines = append(lines, name+": "+r.Header.Get(name))
	}
	if change != nil {
		lines = change(lines)
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + sent
}

// exchange sends bytes over one connection and returns the answers to as many
// requests, and then whether the server has closed the connection.
func (s *service) exchange(t *testing.T, sent string, requests int) (answers []*http.Response, texts []string, closed bool) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, sent); err != nil {
		t.Fatal(err)
	}
	from := bufio.NewReader(conn)
	for range requests {
		answer, err := http.ReadResponse(from, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		answers, texts, closed = append(answers, answer), append(texts, string(text)), answer.Close
	}
	return answers, texts, closed
}

func length(body string) func([]string) []string {
	return func(lines []string) []string { return append(lines, fmt.Sprintf("Content-Length: %d", len(body))) }
}

func and(change func([]string) []string, more ...string) func([]string) []string {
	return func(lines []string) []string { return append(change(lines), more...) }
}

func replace(old, by string) func([]string) []string {
	return func(lines []string) []string { return length(body)(replaced(lines, old, by)) }
}

func replaced(lines []string, old, by string) []string {
	for i, line := range lines {
		lines[i] = strings.Replace(line, old, by, 1)
	}
	return lines
}

func TestHandlerReadsRequestsInEveryFormOfHTTP(t *testing.T) {
	t.Parallel()
	s := newService(t)
	const good = `{"Name":"a","Empty":[]}`
	chunks := fmt.Sprintf("3\r\n%s\r\n%x;ext=1\r\n%s\r\n0\r\nX-Amz-Trailer: x\r\n\r\n", body[:3], len(body)-3, body[3:])
	chunked := func(lines []string) []string { return append(lines, "Transfer-Encoding: chunked") }
	repeated := func(name string) func([]string) []string {
		return func(lines []string) []string {
			for _, line := range lines {
				if strings.HasPrefix(line, name+": ") {
					lines = append(lines, line)
				}
			}
			return length(body)(lines)
		}
	}
	for _, c := range []struct {
		name, raw string
		status    int
		want      string
	}{
		{"plain", s.raw(body, body, length(body)), 200, good},
		{"chunked", s.raw(body, chunks, chunked), 200, good},
		{"chunked, of another body than was signed", s.raw(`{"Name":"b"}`, chunks, chunked), 400, "InvalidSignatureException"},
		{"header names in small letters", s.raw(body, body, replace("X-Amz-Target", "x-amz-target")), 200, good},
		{"spaces around a value", s.raw(body, body, replace("Test.Op", " \t Test.Op  ")), 200, good},
		{"a folded header", s.raw(body, body, replace("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256\r\n ")), 200, good},
		{"the whole address in the request line", s.raw(body, body, replace("POST / ", "POST http://"+s.Listener.Addr().String()+"/ ")), 200, good},
		{"an unsigned header", s.raw(body, body, and(length(body), "User-Agent: x", "Accept: */*", "Amz-Sdk-Request: attempt=1; max=3")), 200, good},
		{"Authorization twice", s.raw(body, body, repeated("Authorization")), 400, "IncompleteSignatureException"},
		{"X-Amz-Date twice", s.raw(body, body, repeated("X-Amz-Date")), 400, "IncompleteSignatureException"},
		{"X-Amz-Target twice", s.raw(body, body, repeated("X-Amz-Target")), 400, "IncompleteSignatureException"},
		{"Content-Type twice", s.raw(body, body, repeated("Content-Type")), 400, "IncompleteSignatureException"},
		{"X-Amz-Security-Token twice", s.raw(body, body, and(length(body), "X-Amz-Security-Token: a", "X-Amz-Security-Token: a")), 400, "IncompleteSignatureException"},
		{"another host than was signed", s.raw(body, body, replace("Host: ", "Host: x")), 400, "InvalidSignatureException"},
		{"POST in small letters", s.raw(body, body, replace("POST / ", "post / ")), 404, "<UnknownOperationException/>"},
		{"a length that is signed and not sent", s.raw(body, chunks, func(lines []string) []string {
			return chunked(replaced(lines, "SignedHeaders=", "SignedHeaders=content-length;"))
		}), 400, "A header that is named in SignedHeaders was not sent."},
		{"a body without length", s.raw(body, body, nil), 400, "InvalidSignatureException"}, // HTTP/1.1 has no body then
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			answers, texts, _ := s.exchange(t, c.raw, 1)
			if answers[0].StatusCode != c.status || !strings.Contains(texts[0], c.want) {
				t.Errorf("got %d %s\nwant %d %s", answers[0].StatusCode, texts[0], c.status, c.want)
			}
		})
	}
}

func TestHandlerSpeaksHTTP10(t *testing.T) {
	t.Parallel()
	s := newService(t)
	answers, texts, closed := s.exchange(t, s.raw(body, body, replace("HTTP/1.1", "HTTP/1.0")), 1)
	if answers[0].StatusCode != 200 || !closed {
		t.Errorf("got %d %s, closed: %t", answers[0].StatusCode, texts[0], closed)
	}
}

func TestHandlerAnswersPipelinedRequestsInTurn(t *testing.T) {
	t.Parallel()
	s := newService(t)
	one, two := `{"Name":"one"}`, `{"Name":"two"}`
	spoilt := s.raw(one, two, length(two)) // signed for another body: read all the same
	answers, texts, closed := s.exchange(t, s.raw(one, one, length(one))+spoilt+s.raw(two, two, length(two)), 3)
	if answers[0].StatusCode != 200 || answers[1].StatusCode != 400 || answers[2].StatusCode != 200 || closed ||
		!strings.Contains(texts[0], "one") || !strings.Contains(texts[2], "two") {
		t.Errorf("got %q, closed: %t", texts, closed)
	}
}

func TestHandlerAsksOnlyKnownKeysForTheBody(t *testing.T) {
	t.Parallel()
	s := newService(t)
	expecting := and(length(body), "Expect: 100-continue")
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(conn, s.raw(body, "", expecting))
	from := bufio.NewReader(conn)
	answer, err := http.ReadResponse(from, nil)
	if err != nil || answer.StatusCode != 100 {
		t.Fatalf("got %+v, %v", answer, err)
	}
	_, _ = io.WriteString(conn, body)
	if answer, err = http.ReadResponse(from, nil); err != nil || answer.StatusCode != 200 {
		t.Errorf("got %+v, %v", answer, err)
	}

	unknown := s.raw(body, "", func(lines []string) []string { return expecting(lines[:len(lines)-1]) })
	answers, texts, _ := s.exchange(t, unknown, 1)
	if answers[0].StatusCode != 400 || !strings.Contains(texts[0], "MissingAuthenticationTokenException") {
		t.Errorf("got %d %s", answers[0].StatusCode, texts[0])
	}
}

func TestHandlerRefusesABodyThatEndsEarly(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for name, raw := range map[string]string{
		"of known length":  s.raw(body, body[:5], length(body)),
		"in chunks":        s.raw(body, "5\r\n"+body[:5], func(lines []string) []string { return append(lines, "Transfer-Encoding: chunked") }),
		"in broken chunks": s.raw(body, "zz\r\n"+body[:5], func(lines []string) []string { return append(lines, "Transfer-Encoding: chunked") }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = io.WriteString(conn, raw)
			_ = conn.(*net.TCPConn).CloseWrite()
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if text, _ := io.ReadAll(answer.Body); answer.StatusCode != 400 || !strings.Contains(string(text), `"__type":"RequestAbortedException"`) {
				t.Errorf("got %d %s", answer.StatusCode, text)
			}
		})
	}
}

func TestHandlerReadsGzipInEveryForm(t *testing.T) {
	t.Parallel()
	s := newService(t)
	zip := func(text string) string {
		var out bytes.Buffer
		zw := gzip.NewWriter(&out)
		_, _ = io.WriteString(zw, text)
		_ = zw.Close()
		return out.String()
	}
	zeros := strings.Repeat("\x00", 1<<20)
	for _, c := range []struct {
		name, encoding, sent string
		status               int
		want                 string
	}{
		{"gzip", "gzip", zip(body), 200, `"Name":"a"`},
		{"gzip in capitals", "GZIP", zip(body), 200, `"Name":"a"`},
		{"identity", "identity", body, 200, `"Name":"a"`},
		{"several members", "gzip", zip(body[:4]) + zip(body[4:]), 200, `"Name":"a"`},
		{"a bomb of 4 MiB and a byte", "gzip", zip(strings.Repeat(" ", awsjson.MaxBody+1)), 413, "RequestEntityTooLargeException"},
		{"a bomb of many members", "gzip", strings.Repeat(zip(zeros), 3000), 413, "RequestEntityTooLargeException"},
		{"4 MiB that are no JSON", "gzip", zip(strings.Repeat(" ", awsjson.MaxBody)), 400, "SerializationException"},
		{"cut short", "gzip", zip(body)[:len(zip(body))-4], 400, "MalformedHttpRequestException"},
		{"a wrong checksum", "gzip", zip(body)[:len(zip(body))-8] + "\x00\x00\x00\x00\x00\x00\x00\x00", 400, "MalformedHttpRequestException"},
		{"something behind it", "gzip", zip(body) + "x", 400, "MalformedHttpRequestException"},
		{"nothing", "gzip", "", 400, "MalformedHttpRequestException"},
		{"gzip twice", "gzip, gzip", zip(zip(body)), 400, "MalformedHttpRequestException"},
		{"deflate", "deflate", body, 400, "MalformedHttpRequestException"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			answers, texts, _ := s.exchange(t, s.raw(c.sent, c.sent, and(length(c.sent), "Content-Encoding: "+c.encoding)), 1)
			if answers[0].StatusCode != c.status || !strings.Contains(texts[0], c.want) {
				t.Errorf("got %d %.300s\nwant %d %s", answers[0].StatusCode, texts[0], c.status, c.want)
			}
		})
	}
}
