package api

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/awsjson"
)

// Trailers with which a calculation's output ends.
const (
	trailerState  = "Ergane-State"
	trailerReason = "Ergane-Reason"
)

// output streams what a calculation prints: GET /calculations/{id}/output with
// the parameters stream (stdout or stderr) and from (a byte offset), signed
// like the API. The answer is the raw bytes as they come; when the calculation
// has ended it ends, with the state and its reason as trailers. It is the one
// thing beyond Athena's API that `ergane run` needs.
func (s *Service) output(w http.ResponseWriter, r *http.Request) {
	id := awsjson.NewRequestID()
	caller, err := s.verifier.Verify(r, nil)
	if err == nil {
		err = s.permit(caller, nil)
	}
	if err != nil {
		s.refuse(w, id, r.PathValue("id"), err)
		return
	}
	stream := r.URL.Query().Get("stream")
	from, err := strconv.ParseInt(r.URL.Query().Get("from"), 10, 64)
	if r.URL.Query().Get("from") == "" {
		from, err = 0, nil
	}
	if err != nil || from < 0 || stream != "stdout" && stream != "stderr" {
		s.refuse(w, id, r.PathValue("id"), ergane.Errorf(ergane.CodeInvalid, "stream must be stdout or stderr, and from a byte offset."))
		return
	}
	begun := false
	flush := http.NewResponseController(w)
	begin := func() {
		if begun {
			return
		}
		begun = true
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Trailer", trailerState+", "+trailerReason)
	}
	c, err := s.manager.Output(r.Context(), r.PathValue("id"), stream, from, func(p []byte) error {
		begin()
		if _, err := w.Write(p); err != nil {
			return err
		}
		return flush.Flush()
	})
	if err != nil && !begun {
		s.refuse(w, id, r.PathValue("id"), err)
		return
	}
	if err != nil {
		s.log.Debug("output broke off", "calculation", c.ID, "error", err)
		panic(http.ErrAbortHandler) // a client must see that this is not the end
	}
	begin()
	w.Header().Set(trailerState, string(c.Status.State))
	w.Header().Set(trailerReason, strconv.QuoteToASCII(c.Status.Reason))
}

// refuse answers with an error, as every other operation does.
func (s *Service) refuse(w http.ResponseWriter, requestID, calculation string, err error) {
	e, ok := errors.AsType[*awsjson.Error](err)
	if !ok {
		e = errorOf(err)
	}
	if e.Status >= http.StatusInternalServerError {
		s.log.Error("output failed", "calculation", calculation, "request_id", requestID, "error", err)
	}
	awsjson.WriteError(w, requestID, e)
}
