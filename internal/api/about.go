package api

import (
	"log/slog"

	"github.com/ergane-dev/ergane/internal/athena"
)

// about names the session or the calculation that a request is about, so that
// the log tells all that befell one.
func about(in any) slog.Attr {
	session := func(id *string) slog.Attr { return slog.String("session", value(id)) }
	calculation := func(id *string) slog.Attr { return slog.String("calculation", value(id)) }
	switch in := in.(type) {
	case *athena.GetSessionRequest:
		return session(in.SessionId)
	case *athena.GetSessionStatusRequest:
		return session(in.SessionId)
	case *athena.ListCalculationExecutionsRequest:
		return session(in.SessionId)
	case *athena.ListExecutorsRequest:
		return session(in.SessionId)
	case *athena.StartCalculationExecutionRequest:
		return session(in.SessionId)
	case *athena.TerminateSessionRequest:
		return session(in.SessionId)
	case *athena.GetCalculationExecutionRequest:
		return calculation(in.CalculationExecutionId)
	case *athena.GetCalculationExecutionCodeRequest:
		return calculation(in.CalculationExecutionId)
	case *athena.GetCalculationExecutionStatusRequest:
		return calculation(in.CalculationExecutionId)
	case *athena.StopCalculationExecutionRequest:
		return calculation(in.CalculationExecutionId)
	}
	return slog.Attr{}
}
