package engine

import (
	"cmp"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/ergane-dev/ergane"
)

var (
	memorySize     = regexp.MustCompile(`^([0-9]+)([a-z]+)?$`)
	memoryFraction = regexp.MustCompile(`^([0-9]+\.[0-9]+)([a-z]+)?$`)
	memoryShift    = map[string]uint{"b": 0, "k": 10, "kb": 10, "": 20, "m": 20, "mb": 20, "g": 30, "gb": 30, "t": 40, "tb": 40, "p": 50, "pb": 50}
)

// parseMemory reads a size as Spark reads spark.driver.memory: MiB without a
// suffix, suffixes in powers of 1024, no fractions. Its errors have the text of
// Spark's (org.apache.spark.network.util.JavaUtils.byteStringAs), so that a session
// fails with the same reason whichever property was malformed.
func parseMemory(text string) (bytes int64, err error) {
	lower := strings.ToLower(strings.TrimSpace(text))
	var why string
	m := memorySize.FindStringSubmatch(lower)
	switch {
	case memoryFraction.MatchString(lower):
		why = "Fractional values are not supported. Input was: " + memoryFraction.FindStringSubmatch(lower)[1]
	case m == nil:
		why = "Failed to parse byte string: " + text
	default:
		shift, known := memoryShift[m[2]]
		n, err := strconv.ParseInt(m[1], 10, 64)
		switch {
		case !known:
			why = `Invalid suffix: "` + m[2] + `"`
		case err != nil || n > math.MaxInt64>>shift:
			why = "For input string: \"" + m[1] + "\""
		default:
			return n << shift, nil
		}
	}
	return 0, ergane.Errorf(ergane.CodeInvalid, "NumberFormatException: Size must be specified as bytes (b), kibibytes (k), mebibytes (m), "+
		"gibibytes (g), tebibytes (t), or pebibytes(p). E.g. 50b, 100k, or 250m.\n%s", why)
}

// sessionOverhead is how many bytes a session needs in addition to its driver's
// heap: the JVM's other memory, the kernel, its Python workers.
// spark.driver.memoryOverhead counts instead if it is more.
const sessionOverhead = 400 << 20

// How many bytes a session may use beyond that before it is stopped: what normal
// code needs in Python for a while, and a Python worker with its batch for each
// task that runs at once.
const (
	sessionHeadroom = 1 << 30
	workerHeadroom  = 128 << 20
)

// MemoryLimit is the limit, in bytes, for a session that was admitted with the
// result of Memory.
func MemoryLimit(admitted int64, m Master) int64 {
	return admitted + sessionHeadroom + int64(m.slots())*workerHeadroom
}

// hugeMemory is more bytes than any machine has, and few enough that sums of it do not overflow.
const hugeMemory = 1 << 45

// Memory is how many bytes a session may need on this machine: the driver's heap,
// the overhead, and executors that run on this machine. A size that cannot be
// parsed counts as the default: Spark will refuse it.
func Memory(properties map[string]string, m Master, maxDpus int) int64 {
	heap, err := parseMemory(defaultDriverMemory)
	if err != nil {
		panic(err) // a constant of ours
	}
	if asked, ok := properties[keyDriverMemory]; ok {
		if n, err := parseMemory(asked); err == nil {
			heap = min(n, hugeMemory)
		}
	}
	overhead := int64(sessionOverhead)
	if n, err := parseMemory(properties[keyDriverOverhead]); err == nil {
		overhead = min(max(overhead, n), hugeMemory)
	}
	workers := min(m.workers, max(1, cmp.Or(maxDpus, ergane.DefaultDpus)-1))
	return heap + overhead + int64(workers)*(int64(m.memory)<<20+sessionOverhead)
}
