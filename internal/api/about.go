package api

import (
	"log/slog"

	"github.com/ergane-dev/ergane/internal/athena"
)

// about names the session or the calculation that a request is about, so that
// the log tells all that befell one; the workgroup where it is about neither.
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
