package gateway_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/ergane-dev/ergane/internal/objects/gateway"
)

// TestMain lets this binary be `ergane s3` as well.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "s3" {
		os.Exit(gateway.Main(os.Args[2:]))
	}
	goleak.VerifyTestMain(m)
}
