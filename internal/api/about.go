package api

import (
	"log/slog"

	"github.com/ergane-dev/ergane/internal/athena"
)

// about is the log attribute that names the calculation, the session or the
// workgroup that a request is about, the first of these that it names.
func about(in any) slog.Attr {
	switch of := athena.SubjectOf(in); {
	case of.Calculation != nil:
		return slog.String("calculation", *of.Calculation)
	case of.Session != nil:
		return slog.String("session", *of.Session)
	case of.WorkGroup != nil:
		return slog.String("workgroup", *of.WorkGroup)
	}
	return slog.Attr{}
}
