package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// store is posix with the promise that what was acknowledged is on disk, and
// without the answers that make clients wait or believe wrong things.
type store struct {
	*posix.Posix
	dir        string              // holds the buckets; also the working directory
	attributes meta.MetadataStorer // as posix has it
	sidecar    string              // where attributes lie as files; empty with xattrs
	owner      string              // access key id that owns all buckets

	making    sync.Mutex // one bucket is made at a time
	finishing [64]sync.Mutex
	writing   [64]sync.Mutex // of what is written once
	seed      maphash.Seed
}

// openStore opens or makes the store of a data dir. Attributes are extended
// ones of the file system, or files beside the objects where there are none;
// a store that has begun with files stays with files.
func openStore(dataDir, owner string, l limits) (*store, error) {
	dir, attributes := storeDirs(dataDir)
	if err := errors.Join(os.MkdirAll(dir, 0o700), syncPath(filepath.Dir(dir))); err != nil {
		return nil, err
	}
	s := &store{dir: dir, attributes: meta.XattrMeta{}, owner: owner, seed: maphash.MakeSeed()}
	opts := posix.PosixOpts{
		CopyObjectThreshold: 5 << 30, // documented as the default, but 0 refuses every copy
		Concurrency:         l.all(), // one waits for none: slots are what bounds them
		ForceNoObjLockFile:  true,    // there is one process by our own lock
		IOBufferSize:        256 << 10,
	}
	opts.SetNewDirPerm(0o700)
	opts.SetNewFilePerm(0o600)
	_, err := os.Stat(attributes)
	if err == nil || !hasXattrs(dir) {
		if err := os.MkdirAll(attributes, 0o700); err != nil {
			return nil, err
		}
		side, err := meta.NewSideCar(attributes)
		if err != nil {
			return nil, err
		}
		s.attributes, s.sidecar = side, attributes
	}
	s.Posix, err = posix.New(dir, s.attributes, opts)
	return s, err
}

// hasXattrs tries it: some file systems answer a read and refuse the write.
func hasXattrs(dir string) bool {
	x := meta.XattrMeta{}
	return x.StoreAttribute(nil, dir, "", "ergane", []byte("1")) == nil
}

// commit flushes an object, its attributes and every folder above it. The
// folders go first: on most file systems that already writes the rest.
func (s *store) commit(bucket, key string) error {
	top := filepath.Join(s.dir, bucket)
	path := filepath.Join(top, key)
	if err := syncChain(filepath.Dir(path), top); err != nil {
		return fmt.Errorf("flush folders: %w", err)
	}
	if err := syncPath(path); err != nil {
		return fmt.Errorf("flush object: %w", err)
	}
	if s.sidecar == "" {
		return nil
	}
	attributes := filepath.Join(s.sidecar, bucket, key, "meta")
	files, err := os.ReadDir(attributes)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("flush attributes: %w", err)
	}
	for _, f := range files {
		if err := syncPath(filepath.Join(attributes, f.Name())); err != nil {
			return fmt.Errorf("flush attributes: %w", err)
		}
	}
	return syncChain(attributes, s.sidecar)
}

// PutObject flushes the data before the object appears under its name, so that
// no crash leaves an empty object in the place of an older one.
func (s *store) PutObject(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	in.ContentEncoding = storedEncoding(in.ContentEncoding)
	if isDeltaCommit(*in.Key) {
		return s.putOnce(ctx, in)
	}
	return s.put(ctx, in)
}

func (s *store) put(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	out, err := s.PutObjectWithPostFunc(ctx, in, (*os.File).Sync)
	return s.finish(in, out, err)
}

// finish ends what PutObjectWithPostFunc has done.
func (s *store) finish(in s3response.PutObjectInput, out s3response.PutObjectOutput, err error) (s3response.PutObjectOutput, error) {
	if err != nil {
		return out, s.explain(*in.Bucket, *in.Key, stalled(err))
	}
	return out, s.commit(*in.Bucket, *in.Key)
}

func (s *store) UploadPart(ctx context.Context, in *s3.UploadPartInput) (*s3.UploadPartOutput, error) {
	out, err := s.Posix.UploadPart(ctx, in)
	return out, stalled(err)
}

func (s *store) CopyObject(ctx context.Context, in s3response.CopyObjectInput) (s3response.CopyObjectOutput, error) {
	out, err := s.Posix.CopyObject(ctx, in)
	if err != nil {
		return out, s.explain(*in.Bucket, *in.Key, err)
	}
	return out, s.commit(*in.Bucket, *in.Key)
}

// CreateMultipartUpload refuses at once what could not be completed in the end.
func (s *store) CreateMultipartUpload(ctx context.Context, in s3response.CreateMultipartUploadInput) (s3response.InitiateMultipartUploadResult, error) {
	if err := s.obstacle(*in.Bucket, *in.Key); err != nil {
		return s3response.InitiateMultipartUploadResult{}, err
	}
	in.ContentEncoding = storedEncoding(in.ContentEncoding)
	return s.Posix.CreateMultipartUpload(ctx, in)
}

// CompleteMultipartUpload is done once per upload: posix would tell a second
// caller, such as a client that tries again, of success while the first is
// still at work, and would take any object of that name for the result.
func (s *store) CompleteMultipartUpload(ctx context.Context, in *s3.CompleteMultipartUploadInput) (s3response.CompleteMultipartUploadResult, string, error) {
	var none s3response.CompleteMultipartUploadResult
	if in.Key == nil || in.UploadId == nil || in.MultipartUpload == nil {
		return none, "", s3err.GetAPIError(s3err.ErrInvalidRequest)
	}
	turn := &s.finishing[maphash.String(s.seed, *in.UploadId)%uint64(len(s.finishing))]
	turn.Lock()
	defer turn.Unlock()
	if _, err := os.Stat(s.uploadDir(*in.Bucket, *in.Key, *in.UploadId)); err != nil && !s.completed(*in.Bucket, *in.Key, *in.UploadId) {
		return none, "", s3err.GetNoSuchUploadErr(*in.UploadId)
	}
	if err := s.obstacle(*in.Bucket, *in.Key); err != nil {
		return none, "", err
	}
	left := len(in.MultipartUpload.Parts)
	out, version, err := s.CompleteMultipartUploadWithCopy(ctx, in, func(from, to *os.File) (bool, error) {
		_, err := io.Copy(to, from)
		if left--; err == nil && left == 0 {
			err = to.Sync()
		}
		return true, err
	})
	if err != nil {
		return out, version, s.explain(*in.Bucket, *in.Key, err)
	}
	return out, version, s.commit(*in.Bucket, *in.Key)
}

func (s *store) DeleteObject(ctx context.Context, in *s3.DeleteObjectInput) (*s3.DeleteObjectOutput, error) {
	out, err := s.Posix.DeleteObject(ctx, in)
	if err != nil {
		return out, err
	}
	top := filepath.Join(s.dir, *in.Bucket)
	return out, syncSurvivor(filepath.Dir(filepath.Join(top, *in.Key)), top)
}

// DeleteObjects flushes each folder once. Keys that cannot exist are left out
// and, as S3 does with what is not there, reported as deleted.
func (s *store) DeleteObjects(ctx context.Context, in *s3.DeleteObjectsInput) (s3response.DeleteResult, error) {
	var possible, impossible []types.ObjectIdentifier
	for _, o := range in.Delete.Objects {
		if o.Key == nil || CheckKey(*o.Key) == nil {
			possible = append(possible, o)
		} else {
			impossible = append(impossible, o)
		}
	}
	list := *in.Delete
	list.Objects = possible
	request := *in
	request.Delete = &list
	out, err := s.Posix.DeleteObjects(ctx, &request)
	if err != nil {
		return out, err
	}
	for _, o := range impossible {
		out.Deleted = append(out.Deleted, types.DeletedObject{Key: o.Key})
	}
	top := filepath.Join(s.dir, *in.Bucket)
	var dirs []string
	for _, o := range out.Deleted {
		if o.Key != nil && CheckKey(*o.Key) == nil {
			dirs = append(dirs, filepath.Dir(filepath.Join(top, *o.Key)))
		}
	}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		if err := syncSurvivor(dir, top); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (s *store) CreateBucket(ctx context.Context, in *s3.CreateBucketInput, acl []byte) error {
	if err := s.Posix.CreateBucket(ctx, in, acl); err != nil {
		return err
	}
	return errors.Join(s.commit(*in.Bucket, ""), syncPath(s.dir))
}

// ListBuckets leaves out the one that is the server's own.
func (s *store) ListBuckets(ctx context.Context, in s3response.ListBucketsInput) (s3response.ListAllMyBucketsResult, error) {
	out, err := s.Posix.ListBuckets(ctx, in)
	out.Buckets.Bucket = slices.DeleteFunc(out.Buckets.Bucket, func(b s3response.ListAllMyBucketsEntry) bool { return b.Name == ProbeBucket })
	return out, err
}

func (s *store) DeleteBucket(ctx context.Context, bucket string) error {
	if err := s.Posix.DeleteBucket(ctx, bucket); err != nil {
		return err
	}
	return syncPath(s.dir)
}

// GetBucketAcl is what versitygw asks first after it has checked a signature.
// The bucket of a request that writes an object is made here if it is missing.
func (s *store) GetBucketAcl(ctx context.Context, in *s3.GetBucketAclInput) ([]byte, error) {
	acl, err := s.Posix.GetBucketAcl(ctx, in)
	if code(err) != "NoSuchBucket" || ctx.Value(makesBucket{}) == nil {
		return acl, err
	}
	s.making.Lock()
	defer s.making.Unlock()
	if acl, err := s.Posix.GetBucketAcl(ctx, in); err == nil {
		return acl, nil
	}
	acl, err = json.Marshal(auth.ACL{Owner: s.owner, Grantees: []auth.Grantee{
		{Permission: auth.PermissionFullControl, Access: s.owner, Type: types.TypeCanonicalUser},
	}})
	if err != nil {
		return nil, err
	}
	err = s.CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket:                    in.Bucket,
		ObjectOwnership:           types.ObjectOwnershipBucketOwnerEnforced,
		CreateBucketConfiguration: &types.CreateBucketConfiguration{},
	}, acl)
	if err != nil && code(err) != "BucketAlreadyOwnedByYou" && code(err) != "BucketAlreadyExists" {
		return nil, err
	}
	return acl, nil
}

// makesBucket marks the context of a request whose bucket may be made.
type makesBucket struct{}

// completed reports whether the object of that name is the result of that upload.
func (s *store) completed(bucket, key, upload string) bool {
	raw, err := s.attributes.RetrieveAttribute(nil, bucket, key, "mp-metadata")
	if err != nil {
		return false
	}
	m, err := backend.UnmarshalMpUploadMetadata(raw, false)
	return err == nil && m.UploadID == upload
}
