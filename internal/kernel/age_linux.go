package kernel

import (
	"encoding/json"
	"time"

	"golang.org/x/sys/unix"
)

// ageFile records when the running calculation was submitted, by a clock that
// cannot be set. It is in the server's part of the session's folder, where user
// code cannot change it.
const ageFile = "age.json"

type ageDocument struct {
	V  int    `json:"v"`
	ID string `json:"id"`
	At int64  `json:"at"` // in milliseconds since the machine's start
}

// Age is how long ago a calculation was submitted; submitted is by the machine's
// clock. That clock is used only in the first call: later calls, also by the
// next servers, use a clock that cannot be set. It starts with the machine, which
// is enough, because the kernel ends with the machine.
func (k *Kernel) Age(id string, submitted time.Time) time.Duration {
	now := sinceBoot()
	d, err := readDocument(k.root, ageFile, func(b []byte) (d ageDocument, err error) {
		return d, json.Unmarshal(b, &d)
	})
	if age := now - time.Duration(d.At)*time.Millisecond; err == nil && d.V == protocolVersion && d.ID == id && age >= 0 {
		return age
	}
	age := max(0, time.Since(submitted))
	d = ageDocument{V: protocolVersion, ID: id, At: (now - age).Milliseconds()}
	if err := writeFile(k.root, ageFile, d); err != nil && overwrite(k.root, ageFile, d) != nil {
		k.log.Warn("cannot record the age of a calculation; after a restart of the server it is taken from the machine's clock", "calculation", id, "error", err)
	}
	return age
}

// sinceBoot counts while the machine sleeps, too.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
