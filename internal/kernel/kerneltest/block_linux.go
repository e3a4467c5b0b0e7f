package kerneltest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

type raised struct{ name, value string }

func (r *raised) Error() string { return r.name }

// A block is a calculation whose code is being run, a command a line.
type block struct {
	*standin
	id         string
	ctx        context.Context
	outputs    int
	unrecorded string
}

func (b *block) run(line string) error {
	op, arg, _ := strings.Cut(line, " ")
	first, rest, _ := strings.Cut(arg, " ")
	duration, _ := time.ParseDuration(arg)
	switch op {
	case "":
	case "print":
		unix.Write(b.stdout, []byte(arg+"\n"))
	case "err":
		unix.Write(b.stderr, []byte(arg+"\n"))
	case "output":
		b.outputs += len(arg) + 1
		return appendLine(b.path(b.id, "outputs.ndjson"), arg)
	case "append":
		return appendLine(first, rest)
	case "fill":
		to, text, _ := strings.Cut(rest, " ")
		return fill(b.stdout, first, to, text)
	case "sleep":
		select {
		case <-time.After(duration):
		case <-b.ctx.Done():
		}
	case "stubborn":
		b.deafFor(func() { time.Sleep(duration) })
	case "gil":
		b.mu.Lock()
		time.Sleep(duration)
		b.mu.Unlock()
	case "spawn":
		return exec.Command("sh", "-c", arg).Start()
	case "escape":
		cmd := exec.Command("sh", "-c", arg)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		cmd.Env, cmd.Dir = []string{}, "/"
		return cmd.Start()
	case "raise":
		return &raised{first, rest}
	case "exit":
		status, _ := strconv.Atoi(arg)
		os.Exit(status)
	case "kill":
		sig, _ := strconv.Atoi(arg)
		unix.Kill(os.Getpid(), unix.Signal(sig))
		select {}
	case "eat":
		mib, _ := strconv.Atoi(arg)
		food := make([]byte, mib<<20)
		for at := 0; at < len(food); at += 4 << 10 {
			food[at] = 1
		}
	case "unrecorded":
		b.unrecorded = arg
	case "driver":
		code, _ := strconv.Atoi(first)
		sig, _ := strconv.Atoi(rest)
		b.write("driver.json", map[string]int{"v": 1, "code": code, "signal": sig})
		b.locked(func() { b.send(map[string]any{"ev": "driver"}) })
	case "hangup":
		b.locked(func() {
			for c := range b.conns {
				c.Close()
				delete(b.conns, c)
			}
		})
	case "junk":
		n, _ := strconv.Atoi(arg)
		for i := range n {
			b.locked(func() { b.raw([]byte(junk[i%len(junk)] + "\n")) })
		}
	case "flood":
		b.locked(func() { b.raw(bytes.Repeat([]byte("x"), 3<<20)) })
	default:
		return &raised{"SyntaxError", line}
	}
	return nil
}

var junk = []string{
	"", "{", "[]", "null", `"x"`, `{"re":-1}`, `{"re":99999999,"state":"done"}`, `{"re":"1"}`, `{"ev":7}`, `{"ev":"nonsense"}`,
	`{"ev":"done","id":"../../x"}`, `{"ev":"done","unrecorded":"no","id":"x","v":1,"state":"RUNNING"}`, "\x00\xff\xfe", `{"re":1e400}`,
}

func (b *block) deafFor(f func()) {
	b.locked(func() { b.deaf = true })
	f()
	b.locked(func() { b.deaf = false })
}

func appendLine(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text + "\n")
	return err
}

// fill prints a piece of what "TEXT 00000000", "TEXT 00000001" and so on make, a line each.
func fill(fd int, from, to, text string) error {
	begin, err := strconv.Atoi(from)
	if err != nil {
		return err
	}
	end, err := strconv.Atoi(to)
	if err != nil {
		return err
	}
	var all bytes.Buffer
	for i := 0; all.Len() < end; i++ {
		fmt.Fprintf(&all, "%s %08d\n", text, i)
	}
	for rest := all.Bytes()[begin:end]; len(rest) > 0; {
		n, err := unix.Write(fd, rest)
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}
