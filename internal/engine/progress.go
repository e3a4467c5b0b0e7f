package engine

import (
	"fmt"
	"sync"
	"time"

	"github.com/ergane-dev/ergane/internal/words"
)

// Progress is the progress of a setup.
type Progress struct {
	// Step is one of wait, python, packages, pyspark, java, jars, compile, archive,
	// format, finish, done.
	Step string
	// What is a line for people that says what is being done.
	What string
	// DoneBytes of TotalBytes are downloaded. TotalBytes is 0 until it is known;
	// DoneBytes may be less in the end, as files in pip's cache are not downloaded.
	DoneBytes, TotalBytes int64
	Elapsed               time.Duration
	// Left is the estimated time for the rest of the downloads; 0 if unknown.
	Left time.Duration
}

// progressInterval is the pause between reports in which only numbers change.
const progressInterval = 100 * time.Millisecond

// reporter gathers the progress of steps that run at once.
type reporter struct {
	tell  func(Progress)
	began time.Time

	mu    sync.Mutex // guards what follows and serialises tell
	now   Progress
	done  map[string]int64 // bytes by download
	total int64
	told  time.Time
	first time.Time // of the first byte
}

func newReporter(tell func(Progress)) *reporter {
	if tell == nil {
		tell = func(Progress) {}
	}
	return &reporter{tell: tell, began: time.Now(), done: map[string]int64{}}
}

// say announces what is being done now.
func (r *reporter) say(step, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now.Step == step && r.now.What == what {
		return
	}
	r.now.Step, r.now.What = step, what
	r.send()
}

// expect adds bytes that will be downloaded.
func (r *reporter) expect(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total += bytes
}

// bytes says how much of one download is here.
func (r *reporter) bytes(download string, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first.IsZero() {
		r.first = time.Now()
	}
	r.done[download] = n
	if time.Since(r.told) >= progressInterval {
		r.send()
	}
}

func (r *reporter) send() {
	p := r.now
	for _, n := range r.done {
		p.DoneBytes += n
	}
	p.TotalBytes = max(r.total, p.DoneBytes)
	if r.total == 0 {
		p.TotalBytes = 0
	}
	p.Elapsed = time.Since(r.began)
	if took := time.Since(r.first); !r.first.IsZero() && took > time.Second && p.DoneBytes > 0 {
		p.Left = time.Duration(float64(took) * float64(p.TotalBytes-p.DoneBytes) / float64(p.DoneBytes)).Round(time.Second)
	}
	r.told = time.Now()
	r.tell(p)
}

// Words describes the progress of an installation for people: what is done, and
// how much and how long is left.
func (p Progress) Words() (what, detail string) {
	if p.Step == "" {
		return "looking for the engine", ""
	}
	what = p.What
	if p.TotalBytes == 0 || p.DoneBytes >= p.TotalBytes*99/100 { // nothing is left to download that counts
		return what, fmt.Sprintf("(%s so far)", p.Elapsed.Round(time.Second))
	}
	detail = words.Bytes(p.DoneBytes) + " of " + words.Bytes(p.TotalBytes)
	if p.Left > 0 {
		detail += fmt.Sprintf(", about %s left", p.Left)
	}
	return what, detail
}
