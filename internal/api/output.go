package api

import (
	"log/slog"
	"net/http"
	"strconv"
	"sync"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/awsjson"
)

// Trailers at the end of a calculation's output.
const (
	trailerState  = "Ergane-State"
	trailerReason = "Ergane-Reason"
)

// maxStreams and maxKeyStreams bound how many outputs are streamed at once, to
// all clients and to one key: each keeps a connection while its calculation runs.
const (
	maxStreams    = 1024
	maxKeyStreams = 64
)

// output streams what a calculation prints: GET /calculations/{id}/output with
// the parameters stream (stdout or stderr) and from (a byte offset), signed
// like the API. The answer is the raw bytes as they are printed; it ends when the
// calculation has ended, with the state and its reason as trailers. It is the only
// addition to Athena's API that `ergane run` needs.
func (s *Service) output() awsjson.Stream {
	return awsjson.Stream{
		Name:   "CalculationOutput",
		About:  func(r *http.Request) slog.Attr { return slog.String("calculation", r.PathValue("id")) },
		Handle: s.streamOutput,
	}
}

func (s *Service) streamOutput(w http.ResponseWriter, r *http.Request, caller awsjson.Caller) error {
	stream := ergane.Stream(r.URL.Query().Get("stream"))
	from, err := strconv.ParseInt(r.URL.Query().Get("from"), 10, 64)
	if r.URL.Query().Get("from") == "" {
		from, err = 0, nil
	}
	if err != nil || from < 0 || stream != ergane.Stdout && stream != ergane.Stderr {
		return ergane.Errorf(ergane.CodeInvalid, "stream must be stdout or stderr, and from a byte offset.")
	}
	if !s.streams.enter(caller.AccessKeyID) {
		return ergane.Errorf(ergane.CodeThrottled, "Rate exceeded")
	}
	defer s.streams.leave(caller.AccessKeyID)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Trailer", trailerState+", "+trailerReason)
	flush := http.NewResponseController(w)
	c, err := s.manager.Output(r.Context(), r.PathValue("id"), stream, from, func(p []byte) error {
		if _, err := w.Write(p); err != nil {
			return err
		}
		return flush.Flush()
	})
	if err != nil {
		w.Header().Del("Trailer") // an error response has none; if the answer has begun, this does nothing
		return err
	}
	w.Header().Set(trailerState, string(c.Status.State))
	w.Header().Set(trailerReason, strconv.QuoteToASCII(c.Status.Reason))
	return nil
}

// streams counts the outputs that are being streamed.
type streams struct {
	mu    sync.Mutex
	all   int            // guarded by mu
	byKey map[string]int // guarded by mu
}

func (s *streams) enter(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= maxStreams || s.byKey[key] >= maxKeyStreams {
		return false
	}
	s.all++
	s.byKey[key]++
	return true
}

func (s *streams) leave(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.byKey[key]--; s.byKey[key] == 0 {
		delete(s.byKey, key)
	}
}
