package conns

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test.
const patience = time.Minute

var never = Limits{Max: 4, Idle: time.Hour, Head: time.Hour, Stall: time.Hour, Take: time.Hour}

// serve serves handler behind limits, and returns the address.
func serve(t *testing.T, limits Limits, handler http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: handler, ConnContext: Context, ConnState: Rested}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(Limit(l, limits)) }()
	t.Cleanup(func() {
		srv.Close()
		<-done
	})
	return l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ask sends a request on a connection of its own and returns the answer's body.
func ask(t *testing.T, addr string) (string, error) {
	t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + addr)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func TestIdleConnectionsDoNotKeepOutNewOnes(t *testing.T) {
	t.Parallel()
	addr := serve(t, never, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	var idle []net.Conn
	for range 10 {
		idle = append(idle, dial(t, addr))
	}
	if got, err := ask(t, addr); got != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	// The one that has waited longest is closed.
	idle[0].SetReadDeadline(time.Now().Add(patience))
	if _, err := idle[0].Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the first connection reads: %v", err)
	}
}

func TestABusyConnectionIsNotClosedForAnother(t *testing.T) {
	t.Parallel()
	begun, end := make(chan bool), make(chan bool)
	addr := serve(t, never, func(w http.ResponseWriter, r *http.Request) {
		Begin(r.Context(), "key")
		if r.URL.Path == "/" {
			return
		}
		begun <- true
		<-end
		io.WriteString(w, "at last")
	})
	type answer struct {
		text string
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		text, err := ask(t, addr+"/slow")
		answered <- answer{text, err}
	}()
	<-begun
	for range 20 {
		dial(t, addr)
		if _, err := ask(t, addr); err != nil {
			t.Error(err)
		}
	}
	end <- true
	if a := <-answered; a.text != "at last" || a.err != nil {
		t.Errorf("%q, %v", a.text, a.err)
	}
}

func TestABusyConnectionOverTLSIsNotClosedForAnother(t *testing.T) {
	t.Parallel()
	begun, end := make(chan bool), make(chan bool)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Begin(r.Context(), "key")
		begun <- true
		<-end
		io.WriteString(w, r.Proto)
	}))
	srv.EnableHTTP2 = true
	limited := Limit(srv.Listener, never)
	srv.Listener = limited
	srv.Config.ConnContext, srv.Config.ConnState, srv.Config.ErrorLog = Context, Rested, log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	answered := make(chan string, 1)
	go func() {
		resp, err := srv.Client().Get(srv.URL)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		answered <- string(text)
	}()
	<-begun
	first := dial(t, limited.Addr().String())
	for range 10 {
		dial(t, limited.Addr().String())
	}
	first.SetReadDeadline(time.Now().Add(patience))
	if _, err := first.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the first idle connection reads: %v", err)
	}
	end <- true
	if got := <-answered; got != "HTTP/2.0" {
		t.Errorf("the answer is %s", got)
	}
}

func TestOneHolderKeepsAQuarterBusy(t *testing.T) {
	t.Parallel()
	begun, end := make(chan bool), make(chan bool)
	addr := serve(t, Limits{Max: 8, Take: time.Hour}, func(w http.ResponseWriter, r *http.Request) {
		Begin(r.Context(), r.URL.Path)
		if r.URL.Path == "/greedy" {
			begun <- true
			<-end
		}
	})
	var asked sync.WaitGroup
	for range 8 {
		asked.Go(func() { ask(t, addr+"/greedy") })
	}
	for range 8 {
		<-begun
	}
	for range 3 {
		if _, err := ask(t, addr+"/other"); err != nil {
			t.Error(err)
		}
	}
	close(end)
	asked.Wait()
}

func TestWhichConnectionIsClosedFirst(t *testing.T) {
	t.Parallel()
	one, other := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
	at := func(second int64) time.Time { return time.Unix(second, 0) }
	for _, c := range []struct {
		name string
		held []*Conn
		want int // index into held; -1: nobody
	}{
		{"nobody of the busy", []*Conn{{peer: one, busy: true}, {peer: one, busy: true, known: true}}, -1},
		{"strangers before known ones", []*Conn{{peer: one, known: true, since: at(1)}, {peer: one, since: at(2)}}, 1},
		{"the oldest", []*Conn{{peer: one, since: at(2)}, {peer: one, since: at(1)}, {peer: one, since: at(3)}}, 1},
		{"one of who has most", []*Conn{{peer: one, since: at(1)}, {peer: other, since: at(3)}, {peer: other, since: at(2)}}, 2},
	} {
		l := &Listener{held: map[*Conn]struct{}{}}
		for _, h := range c.held {
			l.held[h] = struct{}{}
		}
		got := -1
		for i, h := range c.held {
			if v := l.victim(); v == h {
				got = i
			}
		}
		if got != c.want {
			t.Errorf("%s: %d and not %d is given up", c.name, got, c.want)
		}
	}
}

func TestANetworkOfIPv6IsOnePeer(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"[2001:db8::1]:5": "2001:db8::/64", "[2001:db8::ffff:1]:6": "2001:db8::/64",
		"192.0.2.1:7": "192.0.2.1/32", "[::ffff:192.0.2.1]:8": "192.0.2.1/32",
	} {
		if got := peer(remote{addr: addr}); got.String() != want {
			t.Errorf("%s is of %s and not %s", addr, got, want)
		}
	}
}

type remote struct {
	net.Conn
	addr string
}

func (r remote) RemoteAddr() net.Addr { return address(r.addr) }

type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

// pipes is a listener of connections in memory; their deadlines keep a test's time.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) { return <-p, nil }
func (p pipes) Close() error              { return nil }
func (p pipes) Addr() net.Addr            { return address("pipe") }

// accepted is a connection behind limits, and its peer's end.
func accepted(t *testing.T, limits Limits) (*Conn, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	p := make(pipes, 1)
	p <- ours
	c, err := Limit(p, limits).Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*Conn), theirs
}

func TestAStalledConnectionIsClosed(t *testing.T) {
	t.Parallel()
	limits := Limits{Max: 1, Idle: time.Minute, Head: 10 * time.Second, Stall: 20 * time.Second, Take: 30 * time.Second}
	for _, c := range []struct {
		name string
		do   func(*Conn) error
		peer func(net.Conn) // may be nil
		want time.Duration  // until it is cut
	}{
		{"silence", func(c *Conn) error {
			_, err := c.Read(make([]byte, 1))
			return err
		}, nil, time.Minute},
		{"a head in drops", func(c *Conn) error {
			_, err := io.Copy(io.Discard, c)
			return err
		}, func(peer net.Conn) { drip(peer, 3*time.Second) }, 13 * time.Second},
		{"a body that stops", func(c *Conn) error {
			c.Begin(true, nil)
			_, err := io.Copy(io.Discard, c)
			return err
		}, func(peer net.Conn) { peer.Write(make([]byte, 10)) }, 20 * time.Second},
		{"an answer that nobody takes", func(c *Conn) error {
			_, err := c.Write(make([]byte, 10))
			return err
		}, nil, 30 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			conn, peer := accepted(t, limits)
			defer peer.Close()
			var does sync.WaitGroup
			if c.peer != nil {
				does.Go(func() { c.peer(peer) })
			}
			began := time.Now()
			err := c.do(conn)
			if took := time.Since(began); took != c.want || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s ends after %v with %v", c.name, took, err)
			}
			conn.Close()
			does.Wait()
		})
	}
}

// drip writes a byte at a time until the other end is closed.
func drip(to net.Conn, every time.Duration) {
	for {
		time.Sleep(every)
		if _, err := to.Write([]byte{'x'}); err != nil {
			return
		}
	}
}

func TestASlowConnectionIsNotClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn, peer := accepted(t, Limits{Max: 1, Idle: time.Minute, Head: 10 * time.Second, Stall: 20 * time.Second, Take: 30 * time.Second})
		go func() {
			for range 100 {
				time.Sleep(19 * time.Second)
				peer.Write([]byte{'x'})
			}
			peer.Close()
		}()
		conn.Begin(true, nil)
		if n, err := io.Copy(io.Discard, conn); n != 100 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		conn.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		conn, peer := accepted(t, Limits{Max: 1, Idle: time.Minute, Head: 10 * time.Second, Stall: 20 * time.Second, Take: 30 * time.Second})
		got := make(chan int64)
		go func() {
			var all int64
			for buf := make([]byte, piece); ; time.Sleep(29 * time.Second) {
				n, err := io.ReadFull(peer, buf)
				if all += int64(n); err != nil {
					got <- all
					return
				}
			}
		}()
		if n, err := conn.Write(make([]byte, 5*piece+1)); n != 5*piece+1 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		conn.Close()
		if n := <-got; n != 5*piece+1 {
			t.Errorf("%d bytes arrived", n)
		}
	})
}

func TestAServersDeadlineEndsAReadAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn, peer := accepted(t, never)
		defer peer.Close()
		go conn.SetReadDeadline(time.Unix(1, 0))
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		conn.Close()
	})
}

func TestAfterIsCalledAtTheEndOfARequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn, peer := accepted(t, never)
		defer peer.Close()
		told := 0
		conn.Begin(true, func() { told++ })
		conn.Rest()
		conn.Rest()
		if told != 1 {
			t.Errorf("after a rest it was told %d times", told)
		}
		conn.Begin(true, func() { told++ })
		conn.Close()
		conn.Close()
		if told != 2 {
			t.Errorf("after the close it was told %d times", told)
		}
		conn.Begin(true, func() { told++ })
		if told != 3 {
			t.Errorf("of a request on a closed connection it was told %d times", told-2)
		}
	})
}

func TestAFileGoesOutWhole(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/file"
	if err := os.WriteFile(path, make([]byte, 3*piece+7), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	limited := Limit(l, never)
	for _, c := range []struct{ limit, want int64 }{{-1, 3*piece + 7}, {piece + 1, piece + 1}, {9 * piece, 3*piece + 7}} {
		client := dial(t, l.Addr().String())
		conn, err := limited.Accept()
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		var r io.Reader = f
		if c.limit >= 0 {
			r = io.LimitReader(f, c.limit)
		}
		sent := make(chan error, 1)
		go func() {
			_, err := conn.(io.ReaderFrom).ReadFrom(r)
			conn.Close()
			sent <- err
		}()
		n, err := io.Copy(io.Discard, client)
		if n != c.want || err != nil {
			t.Errorf("of at most %d bytes %d arrived, %v", c.limit, n, err)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		f.Close()
	}
}

// exhausted is a listener that has no descriptors at first.
type exhausted struct {
	pipes
	times int
}

func (e *exhausted) Accept() (net.Conn, error) {
	if e.times--; e.times >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return e.pipes.Accept()
}

func TestAcceptGoesOnAfterDescriptorsRanOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		e := &exhausted{make(pipes, 2), 0}
		l := Limit(e, never)
		e.pipes <- ours
		idle, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		e.times = 3
		next, peer := net.Pipe()
		defer peer.Close()
		e.pipes <- next
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if _, err := idle.Read(make([]byte, 1)); err == nil {
			t.Error("the idle connection was not given up")
		}
	})
}
