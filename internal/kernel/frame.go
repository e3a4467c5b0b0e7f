package kernel

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"
)

// maxFrame is the longest line that the kernel may send, in bytes without its newline.
const maxFrame = 1 << 20

var errFrameTooLong = errors.New("the kernel sent a frame of more than 1 MiB")

// A frame is one line from the kernel: the answer to the order Re, or the
// event Ev. In an answer only the fields that its order defines are read.
type frame struct {
	Re    int64  `json:"re"`
	Err   string `json:"err"`
	Ev    string `json:"ev"`
	ID    string `json:"id"`
	V     int    `json:"v"`
	State string `json:"state"`
	OK    bool   `json:"ok"`
	// Pending says that an interrupt ordered with Strike has not been taken yet.
	Pending bool `json:"pending"`
	// Current is the id of the calculation that runs; empty when none does.
	Current   string          `json:"current"`
	Executors json.RawMessage `json:"executors"`
	Error     json.RawMessage `json:"error"` // a sentence here, an object in a verdict
	Tasks     int64           `json:"tasks"`
	Done      int64           `json:"done"`

	line []byte // as it came
}

// frameReader reads lines from a sender that may be hostile: it never holds more
// than one frame, skips lines that are no frames, and slows a flood down.
type frameReader struct {
	r     *bufio.Reader
	flood floodGate
}

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{r: bufio.NewReaderSize(r, 512)} // most are of a hundred bytes; the buffer lives as long as the session
}

// next returns the next well-formed frame, or the error that ends the connection.
func (fr *frameReader) next() (frame, error) {
	for {
		line, err := fr.line()
		if err != nil {
			return frame{}, err
		}
		fr.flood.pass(len(line))
		if f, ok := parseFrame(line); ok {
			return f, nil
		}
	}
}

func (fr *frameReader) line() ([]byte, error) {
	var long []byte // a line that does not fit into the buffer
	for {
		part, err := fr.r.ReadSlice('\n')
		if len(long)+len(part) > maxFrame+1 {
			return nil, errFrameTooLong
		}
		switch {
		case err == nil && long == nil:
			return bytes.Clone(part), nil
		case err == nil:
			return append(long, part...), nil
		case errors.Is(err, bufio.ErrBufferFull):
			long = append(long, part...)
		default:
			return nil, err // an incomplete line is no frame
		}
	}
}

func parseFrame(line []byte) (frame, bool) {
	var f frame
	if json.Unmarshal(line, &f) != nil || f.Re <= 0 && f.Ev == "" {
		return frame{}, false
	}
	f.line = line
	return f, true
}

const (
	floodFrames = 2000
	floodBytes  = 4 << 20
	floodWindow = time.Second
)

// A floodGate makes its caller wait when a second's share of frames is used up.
// Nothing is lost: the sender's socket fills, and the sender waits. Late events
// do no harm, because the files are read every second anyway.
type floodGate struct {
	since  time.Time
	frames int
	bytes  int
}

func (g *floodGate) pass(n int) {
	now := time.Now()
	if now.Sub(g.since) >= floodWindow {
		*g = floodGate{since: now}
	}
	g.frames++
	g.bytes += n
	if g.frames > floodFrames || g.bytes > floodBytes {
		time.Sleep(floodWindow - now.Sub(g.since))
	}
}
