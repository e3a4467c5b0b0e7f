package tree

import (
	"context"
	"encoding/binary"
	"errors"
	"math"

	"golang.org/x/sys/unix"
)

const (
	// maxKept is how many folders a measurement has open at most, the lowest of
	// the ones that it is in.
	maxKept = 32
	// maxDepth bounds what is remembered of the others: some 6 MB.
	maxDepth = 100_000
	maxTries = 3
)

// ErrLost tells that a folder cannot be measured: folders in it are nested too
// deep, or those below maxKept levels are moved to and fro.
var ErrLost = errors.New("folders are nested too deep, or are moved while they are measured")

// Use is how many bytes of disk a folder and all that is in it count; once
// that is more than limit nothing more is looked at. Others make and remove files
// meanwhile: what cannot be read counts as nothing, links are not followed, and a
// measurement that takes too long ends with ctx. A file counts under each of its names.
func Use(ctx context.Context, path string, limit int64) (sum int64, err error) {
	for range maxTries {
		w := walk{ctx: ctx, limit: limit}
		sum, err = w.measure(path)
		if !errors.Is(err, ErrLost) {
			break
		}
	}
	return sum, err
}

// A walk is in a folder and all those above it. Of them only the lowest are
// open; for the others it remembers which they are and how far they were read,
// and finds them again as "..".
type walk struct {
	ctx        context.Context
	limit, sum int64
	places     []place
	closed     int      // how many of the places, from the top, are
	spare      [][]byte // buffers
}

type place struct {
	fd         int
	dev, ino   uint64
	buffer     []byte
	batch      []byte // of the buffer: what was read, but not looked at
	afterwards int64  // where the entry ends that was looked at last, for Seek
}

func (w *walk) measure(path string) (int64, error) {
	defer func() {
		for _, p := range w.places[w.closed:] {
			unix.Close(p.fd)
		}
	}()
	err := w.enter(unix.AT_FDCWD, path)
	if len(w.places) > 0 {
		var st unix.Stat_t
		if unix.Fstat(w.places[0].fd, &st) == nil {
			w.add(&st)
		}
	}
	for err == nil && len(w.places) > 0 && w.sum <= w.limit {
		if w.ctx.Err() != nil {
			return w.sum, context.Cause(w.ctx)
		}
		e, ok := w.next()
		if !ok {
			err = w.leave()
			continue
		}
		at := w.places[len(w.places)-1].fd
		var st unix.Stat_t
		if again(func() error { return unix.Fstatat(at, e, &st, unix.AT_SYMLINK_NOFOLLOW) }) != nil {
			continue // it is gone
		}
		w.add(&st)
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			err = w.enter(at, e)
		}
	}
	return w.sum, err
}

// least is what a file counts at least, in bytes: its place among the files of
// the disk is used up, too, also where it is empty.
const least = 4 << 10

// Size is what a file or folder of so many blocks, of 512 bytes, counts.
func Size(blocks int64) int64 { return max(blocks*512, least) }

func (w *walk) add(st *unix.Stat_t) {
	if size := Size(int64(st.Blocks)); size > math.MaxInt64-w.sum {
		w.sum = math.MaxInt64
	} else {
		w.sum += size
	}
}

// next is the next entry of the lowest folder.
func (w *walk) next() (name string, ok bool) {
	p := &w.places[len(w.places)-1]
	for {
		if len(p.batch) == 0 {
			n, err := readEntries(p.fd, p.buffer)
			if err != nil || n == 0 {
				return "", false
			}
			p.batch = p.buffer[:n]
		}
		// A struct linux_dirent64: its number, offset, length, type and name.
		length := binary.NativeEndian.Uint16(p.batch[16:])
		p.afterwards = int64(binary.NativeEndian.Uint64(p.batch[8:]))
		name = unix.ByteSliceToString(p.batch[19:length])
		p.batch = p.batch[length:]
		if name != "." && name != ".." {
			return name, true
		}
	}
}

// enter goes down into a folder. One that is gone or closed to us is passed over.
func (w *walk) enter(at int, name string) error {
	if len(w.places) == maxDepth {
		return ErrLost
	}
	fd, err := openAt(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err == unix.EMFILE || err == unix.ENFILE || err == unix.ENOMEM {
		return err
	}
	if err != nil {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil
	}
	if len(w.places)-w.closed == maxKept {
		p := &w.places[w.closed]
		unix.Close(p.fd)
		w.spare = append(w.spare, p.buffer)
		p.buffer, p.batch = nil, nil
		w.closed++
	}
	w.places = append(w.places, place{fd: fd, dev: st.Dev, ino: st.Ino, buffer: w.takeBuffer()})
	return nil
}

func (w *walk) takeBuffer() []byte {
	n := len(w.spare)
	if n == 0 {
		return make([]byte, batchSize)
	}
	b := w.spare[n-1]
	w.spare = w.spare[:n-1]
	return b
}

// leave goes back up, and on from where the folder there was left.
func (w *walk) leave() error {
	n := len(w.places) - 1
	low := w.places[n]
	if n == w.closed && n > 0 {
		if err := w.reopen(low.fd); err != nil {
			return err
		}
	}
	unix.Close(low.fd)
	w.spare = append(w.spare, low.buffer)
	w.places = w.places[:n]
	return nil
}

// reopen opens the lowest of the closed places from the folder below it. What
// is there now may be another: somebody has moved a folder.
func (w *walk) reopen(below int) error {
	p := &w.places[w.closed-1]
	fd, err := openAt(below, "..", unix.O_RDONLY|unix.O_DIRECTORY)
	if err == unix.EMFILE || err == unix.ENFILE || err == unix.ENOMEM {
		return err
	}
	if err != nil {
		return ErrLost
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Dev != p.dev || st.Ino != p.ino {
		unix.Close(fd)
		return ErrLost
	}
	if _, err := unix.Seek(fd, p.afterwards, unix.SEEK_SET); err != nil {
		unix.Close(fd)
		return ErrLost
	}
	p.fd, p.buffer = fd, w.takeBuffer()
	w.closed--
	return nil
}
