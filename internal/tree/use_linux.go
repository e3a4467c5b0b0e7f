package tree

import (
	"context"
	"encoding/binary"
	"errors"
	"math"

	"golang.org/x/sys/unix"
)

const (
	// maxKept is how many folders a measurement has open at most: the lowest of
	// those that it is in.
	maxKept = 32
	// maxDepth bounds the memory for the others: some 6 MB.
	maxDepth = 100_000
	maxTries = 3
)

// ErrLost says that a folder cannot be measured: folders in it are nested too
// deep, or those above its lowest maxKept levels were moved meanwhile.
var ErrLost = errors.New("folders are nested too deep, or are moved while they are measured")

// Use is how many bytes of disk a folder and all that is in it use; it stops
// counting beyond limit. Files may be made and removed meanwhile: what cannot be
// read is not counted, links are not followed, and ctx bounds the time. A file with
// several names counts once for each.
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

// A walk is in a folder and all those above it. Only the lowest of them are open;
// of the others it remembers the inode and how far they were read, and opens them
// again as "..".
type walk struct {
	ctx        context.Context
	limit, sum int64
	places     []place
	closed     int      // how many of the places, from the top, are not open
	spare      [][]byte // buffers
}

type place struct {
	fd         int
	dev, ino   uint64
	buffer     []byte
	batch      []byte // the part of the buffer that was read and not processed yet
	afterwards int64  // the offset behind the entry that was processed last, for Seek
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

// least is what a file counts as at least, in bytes: even an empty one uses an inode.
const least = 4 << 10

// Size is how many bytes a file or folder of so many blocks, of 512 bytes, counts as.
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

// enter goes down into a folder. One that is gone or not readable is skipped.
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

// leave goes back up to the folder above, whose reading continues.
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

// reopen opens the lowest of the closed places from the folder below it. It fails
// with ErrLost if another folder is there now, because one was moved.
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
