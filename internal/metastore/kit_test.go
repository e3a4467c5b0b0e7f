package metastore_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ergane-dev/ergane/internal/metastore"
)

// standIn in the environment makes the test binary a child: it echoes what it
// is sent, or does as the value says.
const standIn = "ERGANE_TEST_METASTORE"

func TestMain(m *testing.M) {
	if how := os.Getenv(standIn); how != "" {
		os.Exit(beChild(how))
	}
	goleak.VerifyTestMain(m)
}

func beChild(how string) int {
	switch how {
	case "broken":
		fmt.Fprintln(os.Stderr, "no such jar")
		return 3
	case "mute": // starts, and never reports its port
		_, _ = io.Copy(io.Discard, os.Stdin)
		return 0
	case "stubborn": // does not end when it is asked to
		go func() { _, _ = io.Copy(io.Discard, os.Stdin) }()
	default:
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("a word before")
	fmt.Println("listening", l.Addr().(*net.TCPAddr).Port)
	for {
		conn, err := l.Accept()
		if err != nil {
			return 1
		}
		go func() {
			defer conn.Close()
			fmt.Fprintln(conn, os.Getpid())
			_, _ = io.Copy(conn, conn)
		}()
	}
}

// harness is a catalog with stand-ins for its child.
type harness struct {
	*testing.T
	*metastore.Server
	dir string
}

func newHarness(t *testing.T, how string, change func(*metastore.Config)) *harness {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := metastore.Config{
		Dir: filepath.Join(t.TempDir(), "metastore"),
		Command: func(context.Context) (metastore.Command, error) {
			return metastore.Command{Argv: []string{os.Args[0]}, Env: []string{standIn + "=" + how}}, nil
		},
		Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	h := &harness{t, metastore.Serve(socket, cfg), cfg.Dir}
	t.Cleanup(h.Close)
	return h
}

// A caller is a connection to the catalog.
type caller struct {
	net.Conn
	in *bufio.Reader
}

func (h *harness) dial() caller {
	h.Helper()
	conn, err := net.Dial("tcp", h.Addr())
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		h.Fatal(err)
	}
	return caller{conn, bufio.NewReader(conn)}
}

// pid is the child that answers a caller.
func (h *harness) pid(c caller) int {
	h.Helper()
	line, err := c.in.ReadString('\n')
	if err != nil {
		h.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		h.Fatal(err)
	}
	return pid
}

// echo sends a word and waits until it is back.
func (h *harness) echo(c caller, word string) {
	h.Helper()
	if _, err := fmt.Fprintln(c, word); err != nil {
		h.Fatal(err)
	}
	if got, err := c.in.ReadString('\n'); got != word+"\n" {
		h.Fatalf("%q, %v", got, err)
	}
}

// refusal makes a call, and returns the exception that is the answer.
func (h *harness) refusal() string {
	h.Helper()
	c := h.dial()
	const name = "get_all_databases"
	call := binary.BigEndian.AppendUint32(nil, 0x80010001)
	call = binary.BigEndian.AppendUint32(call, uint32(len(name)))
	call = append(call, name...)
	call = binary.BigEndian.AppendUint32(call, 7)
	call = append(call, 0)
	if _, err := c.Write(call); err != nil {
		h.Fatal(err)
	}
	answer, err := io.ReadAll(c.in)
	head := len(call) - 1
	if err != nil || len(answer) < head+7 {
		h.Fatalf("the answer is %q, error %v", answer, err)
	}
	if answer[3] != 3 || string(answer[4:head]) != string(call[4:head]) {
		h.Fatalf("the answer is %q, which is no exception of that call", answer)
	}
	n := binary.BigEndian.Uint32(answer[head+3:])
	return string(answer[head+7:][:n])
}

func gone(pid int) bool { return syscall.Kill(pid, 0) != nil }
