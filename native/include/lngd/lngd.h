/* SPDX-License-Identifier: Apache-2.0
 *
 * lngd.h - Layer-wise Natural Gradient Descent (LNGD): the C ABI of liblngd.
 *
 * Source of the method: X. Liu, S. Li, K. Gao, B. Wang, "A Layer-Wise Natural Gradient Optimizer for
 * Training Deep Neural Networks", NeurIPS 2024 ("the paper"). Where this library departs from the paper
 * the comment says so. The order of calls for one training step is
 *
 *     lngd_observe  (forward pass: inputs and pre-activations of a layer; only where lngd_needs asks)
 *     lngd_step     (after the backward pass: gradients in, update out, all layers of a plan in one call)
 *
 * Notation for a layer: weights W (m x d_w), optional bias b (m); the augmented input has
 * d = d_w + (1 if there is a bias) columns, the last being the constant 1. N is the batch size,
 * s = W a + b the pre-activations (N x m), G = dh/dW of the MEAN loss h over the batch,
 * delta_n = d(loss of sample n)/d s_n. A convolution is such a layer at each of T output positions t of a sample: a_nt
 * is the patch that the kernel sees there, in the order channel, kernel row, kernel column; d_w = channels in / groups
 * * kernel height * kernel width, and sums over n become sums over (n, t), still divided by N. Each of G groups of
 * channels has a factor Phi of its own (d x d) and its part of psi, which sums to 1. An embedding has the one-hot code
 * of an index k_nt in [0, d_w) as a_nt, at each of T positions of a sample, so that Phi is diagonal; it is kept as a
 * vector, with one damping for all indices, and block_size does not matter. Its bias, if any, is a diagonal entry with
 * a damping of its own: the cross terms between indices and bias are dropped. A PARAMETER is a tensor outside of any
 * layer (scales and shifts of a norm, positional tables): it has no factors, and AdamW or Nesterov momentum moves it.
 *
 * Rules that hold for every function
 *   - Returns a status; never throws, exits or aborts. On any status but LNGD_OK nothing was changed, unless
 *     the function says otherwise, and lngd_last_error() of the calling thread tells which argument, what was
 *     seen and what is allowed.
 *   - LNGD_DEVICE_ERROR and LNGD_OUT_OF_MEMORY of a device may come from any call that uses it; the message names the
 *     CUDA call. The optimizer can be used on. LNGD_DEVICE_LOST is for good: every later call on the optimizer returns
 *     it at once with the first message, but for lngd_destroy and lngd_plan_destroy, which still free everything.
 *   - NULL, stale (destroyed) and foreign handles are detected and give LNGD_INVALID_HANDLE.
 *   - A handle may be used from any thread, but by one at a time: a call that meets another one in progress on
 *     the same optimizer (or on one of its plans) returns LNGD_BUSY at once.
 *   - The library keeps no pointer to a caller's memory after a call returns, with two exceptions: a plan keeps
 *     the tensors that it was created with, and an optimizer those of lngd_set_gradient_scale.
 *   - float32 storage everywhere; inner products and norms: float32 over at most 512 terms, then double.
 *   - Same inputs, same build, same processor, same thread count: same bits.
 */
#ifndef LNGD_LNGD_H
#define LNGD_LNGD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LNGD_VERSION_MAJOR 0
#define LNGD_VERSION_MINOR 1
#define LNGD_VERSION_PATCH 0

#if defined(__GNUC__)
#define LNGD_API __attribute__((visibility("default")))
#else
#define LNGD_API
#endif

/* ---------------------------------------------------------------- status ---------------------------- */

typedef enum lngd_status {
  LNGD_OK = 0,
  LNGD_INVALID_ARGUMENT = 1, /* the message names the argument, the value and what is allowed */
  LNGD_INVALID_HANDLE = 2,   /* NULL, destroyed, or not a handle of this kind */
  LNGD_INVALID_STATE = 3,    /* right arguments at the wrong time, e.g. a step while averages are swapped in */
  LNGD_BUSY = 4,             /* another thread is inside a call on the same optimizer */
  LNGD_OUT_OF_MEMORY = 5,
  LNGD_BACKEND_UNAVAILABLE = 6, /* the device or its libraries are missing; the message lists what was tried */
  LNGD_BAD_STATE_DATA = 7,      /* restore: truncated, corrupt, other version or other configuration */
  LNGD_INTERNAL = 8,            /* a defect of this library */
  LNGD_DEVICE_ERROR = 9,        /* a call of the device failed; the optimizer can still be used */
  LNGD_DEVICE_LOST = 10         /* the device failed for good: every later call on the optimizer says so at once */
} lngd_status;

/* Name of a status ("LNGD_OK"), or "unknown status". Static storage. */
LNGD_API const char* lngd_status_name(int32_t status);

/* Message of the last call of THIS thread that did not return LNGD_OK; "" if none. Valid until the next
 * failing call of the thread. UTF-8, one line. */
LNGD_API const char* lngd_last_error(void);

/* ---------------------------------------------------------------- library --------------------------- */

/* (major << 16) | (minor << 8) | patch of the library that is loaded (the header's is in the macros). */
LNGD_API uint32_t lngd_version(void);
/* "0.1.0". Static storage. */
LNGD_API const char* lngd_version_string(void);

/* Loads OpenBLAS (0.3.20 or later, LP64, cblas and LAPACK symbols) for the CPU backend from `path`, or, where path is
 * NULL, from $LNGD_OPENBLAS, then from "libopenblas.so.0" and "libopenblas.so" on the loader's search path. Called by
 * lngd_create with NULL when it was not called before. The first success wins: later calls return LNGD_OK and change
 * nothing. The library is loaded with local symbols and is only ever called with one BLAS thread (parallelism is the
 * backend's own): kernels set its thread count back to 1 if another library has changed it. Where something loaded
 * later needs a libopenblas.so.0 of its own, pass a copy with another SONAME: the linker would share this one, since it
 * matches by SONAME and not by file. OPENBLAS_CORETYPE is hidden from
 * it while it loads, since a stale value makes it choose kernels for another processor; LNGD_OPENBLAS_CORETYPE is
 * honoured instead. Thread-safe. Errors: LNGD_BACKEND_UNAVAILABLE with the loader's reason for each path tried. */
LNGD_API lngd_status lngd_load_blas(const char* path);

typedef enum lngd_device {
  LNGD_DEVICE_AUTO = 0, /* CUDA where lngd_choose_device finds that it can be used, else the CPU; the CPU for what only
                           that has (approximation EKFAC) */
  LNGD_DEVICE_CPU = 1,
  LNGD_DEVICE_CUDA = 2,
  LNGD_DEVICE_CUDA_EMULATED = 3 /* the CUDA backend and its kernels on a SIMT emulator, on the CPU: for tests, thousands
                                   of times slower. Never chosen by AUTO */
} lngd_device;

/* Loads the library of the device LNGD_DEVICE_CUDA (liblngd_cuda.so) or LNGD_DEVICE_CUDA_EMULATED
 * (liblngd_cuda_emulated.so) from the file `path`, or, where path is NULL, from $LNGD_CUDA_LIBRARY
 * ($LNGD_CUDA_EMULATED_LIBRARY), then from the folder of liblngd.so, then from the loader's search path. lngd_create
 * and lngd_backend_info call it with NULL where it was not called before. The first success wins: later calls return
 * LNGD_OK and change nothing; after a failure it may be called again with another path. A library of another build is
 * refused. Loading touches no device and makes no CUDA context: whether there is a driver and a device that will do is
 * told by lngd_backend_info. LNGD_DEVICE_CPU: LNGD_OK, it is inside. Thread-safe. Errors: LNGD_INVALID_ARGUMENT for
 * other devices, LNGD_BACKEND_UNAVAILABLE with the reason for each path tried. */
LNGD_API lngd_status lngd_load_backend(int32_t device, const char* path);

/* What lngd_backend_info tells of one backend. All strings are NUL-terminated. */
typedef struct lngd_backend_description {
  uint32_t struct_size;     /* in: sizeof(lngd_backend_description) */
  int32_t available;        /* 1 if lngd_create can use it now, else 0 */
  char reason[512];         /* why it is not available; "" if it is */
  char instruction_set[32]; /* cpu: kernels chosen at run time: "avx512", "avx2" or "portable" */
  char cpu_model[64];       /* cpu: brand string of the processor */
  char cpu_features[256];   /* cpu: features that matter here, space separated */
  char blas[256];           /* cpu: OpenBLAS configuration string; "" until it is loaded */
  char blas_core[32];       /* cpu: core type that OpenBLAS chose, e.g. "Cooperlake" */
  char blas_path[256];      /* cpu: where it was loaded from (the end of it, if longer) */
  int32_t default_threads;  /* cpu: threads that lngd_create uses for threads = 0 */
  int32_t devices;          /* cuda: devices that there are */
  char device_name[128];    /* cuda: of device 0, as all that follows */
  int32_t compute_major;    /* cuda: compute capability; 8.0 or later is needed */
  int32_t compute_minor;
  int64_t device_memory;   /* cuda: bytes in all. How many are free could not be asked without a CUDA context */
  int32_t driver_version;  /* cuda: newest CUDA that the driver serves, 13000 for 13.0; 0: no driver */
  int32_t runtime_version; /* cuda: of the runtime that is linked in */
  char library_path[256];  /* cuda: where the backend was loaded from (the end of it, if longer) */
} lngd_backend_description;

/* Fills `out` for a device (AUTO is an invalid argument). Loads OpenBLAS as lngd_load_blas(NULL) would, or the device's
 * library as lngd_load_backend(device, NULL) would; a failure to do so is told in `reason`, with LNGD_OK, as are a
 * missing driver, no device, and a device that is too old. Makes no CUDA context, and so asks the device itself
 * nothing: that it gave wrong answers shows here after lngd_choose_device or lngd_create has asked. Thread-safe. */
LNGD_API lngd_status lngd_backend_info(int32_t device, lngd_backend_description* out);

/* ---------------------------------------------------------------- tensors --------------------------- */

/* A tensor of the caller. The layout is that of DLPack's DLTensor (version 0.6 to 1.x), so that a DLTensor* may be cast
 * to lngd_tensor*; it has a name of its own so that either header can be included first or alone. */
typedef struct lngd_tensor {
  void* data; /* with byte_offset added: element 0. Host memory: any byte alignment; device memory: of 4 */
  int32_t
      device_type;   /* DLDeviceType: 1 CPU and 3 pinned host memory, taken by every backend; 2 CUDA and 13 CUDA managed
                        memory by the CUDA backend (the emulated one too, for memory of lngd_device_allocate) */
  int32_t device_id; /* of 2 and 13: has to be the optimizer's device_index */
  int32_t ndim;
  uint8_t dtype_code;   /* DLDataTypeCode: 2 = float */
  uint8_t dtype_bits;   /* 32 */
  uint16_t dtype_lanes; /* 1 */
  int64_t* shape;       /* ndim entries; read only during the call */
  int64_t* strides;     /* ndim entries in ELEMENTS, any sign, 0 allowed for inputs; NULL: row-major and compact */
  uint64_t byte_offset;
} lngd_tensor;

/* ---------------------------------------------------------------- configuration --------------------- */

typedef enum lngd_preset {
  LNGD_PRESET_RECIPE = 0, /* the default: relative damping, 128-blocks, trust ratio always; no learning rate to tune */
  LNGD_PRESET_RECIPE_FIT = 1,       /* autoencoders, regression: full Phi, gamma 0.3, Nesterov, depth slope, 5/20 */
  LNGD_PRESET_RECIPE_EMPIRICAL = 2, /* RECIPE with the paper's layer rate, the trust ratio as a cap */
  LNGD_PRESET_PAPER = 3,            /* the paper as printed */
  /* The rivals of the paper's table 6, as their authors have them: fisher PROVIDED, FACTORED damping with 1e-2, full
   * factors of the whole batch, intervals 20 and 100, rho 0.95, learning rate 0.03, momentum 0.9, and nothing else: no
   * layer rate, trust ratio, weight decay or averaged weights. */
  LNGD_PRESET_KFAC = 4,
  LNGD_PRESET_TKFAC = 5,
  LNGD_PRESET_EKFAC = 6,
  /* Block-diagonal KFAC inside LNGD's machinery (ours): both Kronecker factors in blocks of 128, gradients of targets
   * drawn from the model (fisher PROVIDED), SIGNAL damping, trust ratio always, weight decay in units of it, intervals
   * by the length of the run. For softmax and sigmoid outputs, with averaged weights: */
  LNGD_PRESET_BLOCK_KRONECKER = 7,
  LNGD_PRESET_BLOCK_KRONECKER_FIT = 8, /* its settings for reconstruction and regression; Nesterov, no averages */
  /* The last rival of the paper's table 6: approximation NGPLUS, fisher PROVIDED, RELATIVE damping with factor 1, the
   * rest as KFAC's preset */
  LNGD_PRESET_NGPLUS = 9
} lngd_preset;

/* What stands for the Fisher block of a layer. KFAC, TKFAC and EKFAC keep the second factor as a matrix (m/G x m/G for
 * each of G groups, or its diagonal blocks: second_block_size), need the signs of g and so fisher PROVIDED. EKFAC runs
 * on the CPU only. Sums run over samples n and output
 * positions t (T of them; one in a dense layer); g_nt are the rows given as LNGD_SIGNAL_GRADIENTS. Statistics, running
 * averages, retries, trust ratio, EMPIRICAL rate, decay and momentum are those of LNGD.
 *
 * - LNGD: Phi (x) diag(psi), Phi = (1/N) sum r a a^T, psi = sum c g^2 / sum c r; r = ||g||^2, c = ||a||^2 (the paper).
 * - KFAC: A (x) B, A = (1/N) sum a a^T, B = (1/(N T)) sum g g^T (J. Martens, R. Grosse, ICML 2015; R. Grosse, J.
 * Martens, ICML 2016 for convolutions).
 * - TKFAC: Phi (x) Psi, Phi of LNGD, Psi = sum c g g^T / sum c r, whose trace is 1: the product has the trace of the
 * exact block (K.-X. Gao et al., AAAI 2021).
 * - EKFAC: eigenvectors of KFAC's A and B, and in their basis the measured diagonal S, the running average of the
 * squares of the per-sample gradient there: D = U_B [(U_B^T G U_A) / (S + lambda)] U_A^T (T. George et al., NeurIPS
 * 2018).
 * - NGPLUS: Phi (x) I, Phi of LNGD with r of the gradients given, the running average of G_n^T G_n: the gradient of a
 * sample in a dense layer is G_n = g_n a_n^T, so that G_n^T G_n = ||g_n||^2 a_n a_n^T. In a convolution each output
 * position is squared alone, not their sum (M. Yang, D. Xu, Q. Cui, Z. Wen, P. Xu, arXiv 2106.07454).
 *
 * D = B^-1 G A^-1 with damped factors otherwise. In what follows Phi stands for A and Psi for B too. */
typedef enum lngd_approximation {
  LNGD_APPROXIMATION_LNGD = 0,
  LNGD_APPROXIMATION_KFAC = 1,
  LNGD_APPROXIMATION_TKFAC = 2,
  LNGD_APPROXIMATION_EKFAC = 3,
  LNGD_APPROXIMATION_NGPLUS = 4
} lngd_approximation;

/* How the squares q_ni of the per-sample gradients of the layer model come about (paper 3.1). */
typedef enum lngd_fisher {
  LNGD_FISHER_EXPECTED = 0, /* the expectation over the model's targets in closed form; no noise, no generator (ours) */
  LNGD_FISHER_SAMPLED = 1,  /* targets drawn with Philox4x32-10 keyed by (seed, layer, step, element) (the paper) */
  LNGD_FISHER_PROVIDED = 2  /* the caller passes the per-sample gradients g (N x m) to lngd_observe */
} lngd_fisher;

typedef enum lngd_damping {
  LNGD_DAMPING_RELATIVE = 0, /* lambda_Phi = max(gamma tr(Phi)/d, floor), the same for Psi with m (ours) */
  LNGD_DAMPING_ABSOLUTE = 1, /* lambda_Phi = clip(tr(Phi)/d, nu1, nu2), the same for Psi with m (paper 3.3) */
  LNGD_DAMPING_FACTORED = 2, /* KFAC's: lambda_Phi = pi sqrt(lambda), lambda_Psi = sqrt(lambda) / pi, both at least
                                floor, lambda = damping_factor, pi = sqrt((tr Phi/d) / (tr Psi/m)) of the group (1 where
                                a trace is 0). Not with approximation LNGD. EKFAC has one lambda for S: damping_factor
                                (at least floor); RELATIVE and ABSOLUTE take the mean of S for the mean trace */
  LNGD_DAMPING_SIGNAL = 3    /* one gamma a layer, lambda_Phi = max(gamma_l tr(Phi)/d, floor), lambda_Psi =
                                max(second_damping gamma_l tr(Psi)/m, floor), traces over all blocks and groups of the
                                layer; gamma_l = clip(damping_factor sqrt(S0 / (alpha_l beta_l)), damping_min,
                                damping_max), alpha_l = sum_nt ||a_nt||^2 / (N d) (of an embedding 1/d, 2/d with bias)
                                and beta_l = the mean square of g in running averages, S0 = signal_reference. Least
                                where signals are strong, growing as errors shrink (ours: KFAC's factored damping made
                                free of scale). KFAC and TKFAC only */
} lngd_damping;

/* Over what the mean diagonal element of a factor is taken for RELATIVE damping. */
typedef enum lngd_damping_scope {
  LNGD_DAMPING_SCOPE_BLOCK = 0, /* each diagonal block has a lambda of its own */
  LNGD_DAMPING_SCOPE_LAYER = 1  /* one lambda for all blocks and groups of a layer, so that a block of inputs that are
                                   rarely there is not amplified (ours) */
} lngd_damping_scope;

typedef enum lngd_trust {
  LNGD_TRUST_OFF = 0,
  LNGD_TRUST_CAP = 1,   /* alpha_l D is shortened only where learning_rate ||alpha_l D|| > tau max(||W||, 1e-3) */
  LNGD_TRUST_ALWAYS = 2 /* D gets the norm tau max(||W||, 1e-3); learning_rate only multiplies it (leave it 1) */
} lngd_trust;

/* Layer-wise learning rate alpha_l = <D, G> / (C + mu) (paper 3.2, eq. 12-13). */
typedef enum lngd_rate {
  LNGD_RATE_NONE = 0,      /* alpha_l = 1 */
  LNGD_RATE_EMPIRICAL = 1, /* C = (1/N) sum_n (delta_n^T D a_n)^2, eq. 13; lngd_step needs inputs and deltas */
  LNGD_RATE_KRONECKER = 2  /* C = tr(Psi D Phi D^T) from identities of the damped factors, eq. 12 */
} lngd_rate;

typedef enum lngd_decay {
  LNGD_DECAY_DECOUPLED = 0, /* W <- (1 - learning_rate factor weight_decay) W before the momentum is added */
  LNGD_DECAY_COUPLED = 1,   /* G <- G + weight_decay W before preconditioning */
  LNGD_DECAY_TRUST = 2 /* W <- (1 - learning_rate factor tau_l weight_decay) W, tau_l the layer's trust ratio: decay
                          keeps its proportion to the steps whatever tau is (ours) */
} lngd_decay;

/* How the CUDA backend multiplies: in the weighted SYRK of the statistics (lngd_config.precision) and in the direction
 * D (direction_precision). Factorisations are always float32, the other products of a step 3xTF32. The CPU backend
 * computes in float32 whatever these say. */
typedef enum lngd_precision {
  LNGD_PRECISION_TF32X3 = 0, /* x = high + low, both TF32, three products on tensor cores: the accuracy of float32 */
  LNGD_PRECISION_TF32 =
      1, /* one product: relative error near 1e-3 an element; damping must not be much below 1e-4 tr/d */
  LNGD_PRECISION_BF16 = 2, /* one product of 8-bit mantissas */
  LNGD_PRECISION_FP32 = 3, /* without tensor cores */
  LNGD_PRECISION_AUTO = 4 /* the default: TF32 for the layers where damping covers what it loses, TF32X3 for the others.
                             Covered: damping RELATIVE, approximation LNGD or NGPLUS, and diagonal blocks of Phi
                             (damping_scope LAYER: all blocks and groups together) of at most 1024 damping_factor
                             columns; directions then change by at most 3 % in the norm of
                             Phi + lambda I, by rounding of one sign everywhere, and by 0.1 % as roundings fall.
                             Decided anew whenever statistics are taken; lngd_layer_precision tells */
} lngd_precision;

/* Configuration of an optimizer. Fill it with lngd_config_init, then change fields. "*": may be changed later with
 * lngd_set. */
typedef struct lngd_config {
  uint32_t struct_size;        /* sizeof(lngd_config), set by lngd_config_init */
  int32_t device;              /* lngd_device */
  int32_t threads;             /* CPU: >= 1, or 0: $LNGD_NUM_THREADS, else the processors this process may run on */
  int32_t fisher;              /* lngd_fisher */
  int32_t damping;             /* lngd_damping */
  int32_t trust;               /* lngd_trust */
  int32_t rate;                /* lngd_rate */
  int32_t decay;               /* lngd_decay */
  int32_t nesterov;            /* 0 or 1: W moves by momentum M_new + zeta instead of M_new */
  int32_t averaging;           /* 0 or 1: keep averaged weights, avg += c/(c+t) (W - avg) after step t */
  int32_t block_size;          /* Phi is cut into contiguous diagonal blocks of at most this (128); 0: full Phi */
  int32_t statistics_samples;  /* the first n samples of an update feed the statistics; 0: all */
  int32_t rate_samples;        /* EMPIRICAL: that many evenly spaced samples of the batch (unbiased); 0: all */
  int32_t statistics_interval; /* * T_FIM >= 1, in steps of the layer */
  int32_t inverse_interval;    /* * T_INV >= 1 */
  double learning_rate;        /* * alpha, the peak of the schedule; in (0, 1e6] */
  double momentum;             /* * tau_m in [0, 1) */
  double weight_decay;         /* * >= 0 */
  double damping_factor;       /* * gamma >= 0 of RELATIVE damping, lambda >= 0 of FACTORED */
  double damping_floor;        /* * > 0: lambda is never below it (RELATIVE, FACTORED) */
  double damping_min;          /* * nu1 > 0 of ABSOLUTE damping */
  double damping_max;          /* * nu2 >= nu1 */
  double rho;                  /* * weight of the OLD estimate in the running averages, in [0, 1) */
  double mu;                   /* * > 0, the guard in alpha_l */
  double trust_ratio;          /* * tau > 0 where trust is not OFF */
  double trust_depth_slope;    /* > 0: tau of layer i of L is multiplied by slope^(2 i/(L-1) - 1); 1: no slope */
  double averaging_window;     /* c > 0 (8: about the last eighth of the run) */
  uint64_t seed;               /* of SAMPLED */
  int32_t device_index;        /* CUDA: which device, from 0; ignored by the CPU */
  int32_t precision;           /* lngd_precision */
  int32_t overlap;             /* CUDA: 1: statistics and inverses on a stream beside the caller's; 0: all on his */
  int32_t approximation;       /* lngd_approximation; other than LNGD: fisher PROVIDED, rate not KRONECKER */
  int32_t direction_precision; /* lngd_precision of D = Psi^-1 G Phi^-1: TF32X3, or TF32, a third of the tensor core
                                  work for an error of at most 2^-10 |Psi^-1| |G| |Phi^-1| an element (4e-4 of ||D||
                                  where the signs of the addends are random). KFAC and TKFAC: 3xTF32 whatever
                                  this says, but for the Newton-Schulz products of orthogonalise */
  int32_t second_block_size;   /* KFAC, TKFAC: Psi is cut into contiguous diagonal blocks of at most this over the
                                  outputs of a group; 0: full. 0 for EKFAC */
  int32_t damping_scope;       /* lngd_damping_scope, of RELATIVE */
  int32_t soft_trust;          /* 0 or 1: the trust ratio is multiplied by s = min(1, 2 ||D|| / usual), usual the
                                  geometric mean of ||D|| over the steps of the layer, weights falling by 0.95 a step:
                                  a gradient that all but vanishes no longer makes a full step (ours) */
  int32_t output_bound;     /* 0 or 1: in the output layer (output not HIDDEN, and not the only layer) the trust ratio
                               takes min(||W||, ||W_0||) for ||W||, W_0 the weights of its first step; without it
                               steps in proportion to ||W|| make it grow exponentially (ours). Does nothing where
                               ||W_0|| <= 1e-3 */
  double output_decay;      /* >= 0: weight_decay of such an output layer is multiplied by this while ||W|| >
                               ||W_0||; 1: not */
  double second_damping;    /* > 0: lambda_Psi of RELATIVE and SIGNAL is multiplied by this; 1: not */
  double signal_reference;  /* * S0 >= 0 of SIGNAL; 0: exp(mean over the layers of ln(alpha_l beta_l)) of all layers
                               that have an average at the first inversion, then held */
  int32_t orthogonalise;    /* 0 or 1: whitened orthogonalisation, see below. KFAC and TKFAC with trust ALWAYS and rate
                               NONE */
  int32_t reserved;         /* 0 */
  double gradient_clipping; /* >= 0: largest norm of all gradients of a plan together, see below; 0: not clipped */
} lngd_config;

/* gradient_clipping: as torch.nn.utils.clip_grad_norm_ has it, lngd_step takes c G for the gradient G of every layer
 * and PARAMETER of its plan, c = min(1, gradient_clipping / (norm + 1e-6)), norm^2 = the sum of the squares of all
 * their elements, weights and biases, in double. The caller's gradients are scaled as they are read, and not changed.
 * What is clipped is the gradient alone: COUPLED decay is added to it afterwards. Where the norm is NaN or Inf no layer
 * of the plan moves (skipped_steps), sound ones neither. lngd_gradient_norm tells the norm.
 *
 * A trust ratio ALWAYS gives a layer a step of the same length whatever c is. Clipping then changes only what a step
 * counts beside others: in the average of gradients that is orthogonalise's momentum, in soft_trust, beside COUPLED
 * decay, and in the moments of a PARAMETER. It shortens the steps themselves where trust is OFF, and with CAP where
 * they are below the cap; alpha_l does not change. Ranks of data-parallel training clip alike, as their gradients are
 * reduced before the step.
 */

/* orthogonalise (ours): momentum tau_m averages gradients, and the whitened average is
 * orthogonalised by two quintic Newton-Schulz steps, as Muon does by five (K. Jordan 2024), before it is mapped back:
 *
 *   M <- tau_m M + (1 - tau_m) G        x = (1 - tau_m) G + tau_m M with nesterov, else M
 *   C C^T = Phi + lambda_Phi I, B B^T = Psi + lambda_Psi I (Cholesky, block by block)
 *   X = B^-1 x C^-T,  X <- X / sqrt(||X X^T||_F),  twice X <- a X + b X X^T X + c X X^T X X^T X
 *   D = B^-T X C^-1                     W <- W - learning_rate factor tau ||W|| D / ||D||
 *
 * with (a, b, c) = (7.7110, -22.1138, 16.2487), then (3.2153, -2.4112, 0.5013): the polynomials of least distance to 1
 * over singular values of [0.02, 1] (N. Amsel et al., "The Polar Express", arXiv 2505.16932).
 * Each group of a convolution alone. An embedding is whitened, but not orthogonalised, for its columns belong to
 * different indices: D = B^-T B^-1 x C^-T C^-1. LNGD_FIELD_MOMENTUM is that M, and the inverses are the triangles C^-1
 * and B^-1. M is renewed with the weights: a step that is skipped leaves it as it was. COUPLED decay is part of G. A
 * gradient of zeros with an M of zeros makes D = 0.
 */

/* The device that lngd_create would run on with this configuration, in *device: AUTO becomes CUDA where the device with
 * the configuration's device_index can be used and has what the configuration asks for, else the CPU. At its first use
 * in a process a device has to give known answers: every tensor core and copy instruction of the kernels, alone on
 * numbers with exact results, then a small step against double precision. That takes some milliseconds and a CUDA
 * context on that device; no memory of it stays. Right and wrong answers are final for the process. `reason` (capacity
 * in bytes, NUL included; may be NULL with capacity 0) gets one line on why AUTO took the CPU, or "". Thread-safe.
 * Errors: those of lngd_create for this configuration, in particular LNGD_BACKEND_UNAVAILABLE where a device that was
 * named cannot be used, or computes wrong answers. */
LNGD_API lngd_status lngd_choose_device(const lngd_config* config, int32_t* device, char* reason, int32_t capacity);

/* Writes the defaults of `preset` to *config. `total_steps`: length of the run in steps, which sets
 * trust_ratio = 0.17 / sqrt(total_steps) for RECIPE and RECIPE_EMPIRICAL, 0.17 / sqrt(total_steps + 50) for
 * BLOCK_KRONECKER, 0.2 / sqrt(total_steps + 100) for BLOCK_KRONECKER_FIT; 0 if it is not known: then trust_ratio stays
 * 0 and must be set by hand, or lngd_create refuses. RECIPE_FIT has 0.005; PAPER, KFAC, TKFAC, EKFAC and NGPLUS have no
 * trust ratio. The intervals of BLOCK_KRONECKER are total_steps / 80 and total_steps / 20 steps, within 1 to 6 and 1 to
 * 25. total_steps >= 0.
 */
LNGD_API lngd_status lngd_config_init(int32_t preset, int64_t total_steps, lngd_config* config);

typedef enum lngd_layer_kind {
  LNGD_LAYER_DENSE = 0,
  LNGD_LAYER_CONVOLUTION = 1, /* of 1 or 2 spatial axes; every output position of a sample is a row (a_nt, s_nt) */
  LNGD_LAYER_EMBEDDING = 2,   /* looks up column k_nt of W for an index k_nt. lngd_create refuses it with approximations
                                 EKFAC and NGPLUS. Its Phi or A is diagonal, and kept as a vector */
  LNGD_LAYER_PARAMETER = 3    /* a tensor outside of any layer. Not counted where layers are: depth slope, which layer
                                 is the only or the output one, lngd_recommend */
} lngd_layer_kind;

/* What moves a PARAMETER. G its gradient, element by element; e = learning_rate factor, all from the lngd_layer_config
 * but `factor`, that of lngd_step; t counts the steps that moved it, from 1.
 *
 *   ADAMW      M <- beta1 M + (1 - beta1) G        V <- beta2 V + (1 - beta2) G^2
 *              D = (M / (1 - beta1^t)) / (sqrt(V / (1 - beta2^t)) + epsilon)
 *              W <- W - e (D + weight_decay W)
 *   NESTEROV   M <- momentum M - e G               W <- W + momentum M - e (G + weight_decay W)
 *
 * (I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2, with its decay times the
 * learning rate, as DECOUPLED decay here; I. Sutskever, J. Martens, G. Dahl, G. Hinton, ICML 2013.) */
typedef enum lngd_parameter_method {
  LNGD_PARAMETER_ADAMW = 0, /* the default */
  LNGD_PARAMETER_NESTEROV = 1
} lngd_parameter_method;

/* The activation phi of a hidden layer, whose model is a Gaussian with mean phi(s) and unit variance (paper 3.1). */
typedef enum lngd_activation {
  LNGD_ACTIVATION_IDENTITY = 0,
  LNGD_ACTIVATION_RELU = 1,       /* max(s, 0), derivative 0 at 0 */
  LNGD_ACTIVATION_LEAKY_RELU = 2, /* parameter: slope below 0 (0.01) */
  LNGD_ACTIVATION_ELU = 3,        /* parameter: alpha (1) */
  LNGD_ACTIVATION_TANH = 4,
  LNGD_ACTIVATION_SIGMOID = 5,
  LNGD_ACTIVATION_SOFTPLUS = 6,
  LNGD_ACTIVATION_GELU = 7, /* s Phi(s), the exact one with erf */
  LNGD_ACTIVATION_SWISH = 8 /* s sigmoid(s) */
} lngd_activation;

/* Zeros round the image of a convolution. */
typedef enum lngd_padding {
  LNGD_PADDING_EXPLICIT = 0, /* padding_before and padding_after */
  LNGD_PADDING_SAME = 1      /* as many as it takes for size / stride positions, rounded up: (positions - 1) stride +
                                dilation (kernel - 1) + 1 - size, half of them before, the odd one after */
} lngd_padding;

/* The predictive model of a layer. */
typedef enum lngd_output {
  LNGD_OUTPUT_HIDDEN = 0,          /* Gaussian around phi(s): not an output layer (also right for squared error) */
  LNGD_OUTPUT_SOFTMAX = 1,         /* categorical: q = p (1 - p), or (p - onehot(y))^2 with y ~ p */
  LNGD_OUTPUT_SIGMOID = 2,         /* independent Bernoulli: q = p (1 - p), or (p - y)^2 */
  LNGD_OUTPUT_SQUARED_ERROR = 3,   /* Gaussian around phi(s): the same formulas as HIDDEN, named for an output layer */
  LNGD_OUTPUT_SOFTMAX_GAUSSIAN = 4 /* the paper's: Gaussian around softmax(s), g = p * (eps - <p, eps>) */
} lngd_output;

typedef struct lngd_layer_config {
  uint32_t struct_size;        /* sizeof(lngd_layer_config), set by lngd_layer_init */
  int32_t kind;                /* lngd_layer_kind */
  int64_t inputs;              /* DENSE: d_w >= 1; CONVOLUTION: channels in (all groups together); EMBEDDING: size of
                                  the vocabulary, indices are 0 to inputs - 1; PARAMETER: elements */
  int64_t outputs;             /* m >= 1; CONVOLUTION: channels out; PARAMETER: 1 */
  int32_t bias;                /* 0 or 1; PARAMETER: 0, and what follows up to `fisher` is ignored */
  int32_t activation;          /* lngd_activation; IDENTITY for SOFTMAX, SIGMOID and SOFTMAX_GAUSSIAN outputs */
  double activation_parameter; /* LEAKY_RELU: slope in [0, 1]; ELU: alpha > 0; otherwise ignored */
  int32_t output;              /* lngd_output */
  int32_t fisher;              /* lngd_fisher of this layer, or -1: as in lngd_config */
  /* CONVOLUTION only; ignored for others. Entry 0 belongs to the first spatial axis (height, or length where rank is
   * 1), entry 1 to the second (width); where rank is 1, entries 1 are 1 (paddings: 0). The patch of output position y
   * has the inputs y stride - padding_before + k dilation, k = 0 .. kernel - 1, zeros outside of the input. An axis of
   * h inputs has (h + padding_before + padding_after - dilation (kernel - 1) - 1) / stride + 1 positions, rounded down.
   * */
  int32_t rank;      /* spatial axes: 1 or 2 */
  int32_t kernel[2]; /* all in [1, 65535], paddings in [0, 65535] */
  int32_t stride[2];
  int32_t padding;           /* lngd_padding */
  int32_t padding_before[2]; /* 0 with SAME */
  int32_t padding_after[2];
  int32_t dilation[2];
  int32_t
      groups; /* >= 1, divides inputs and outputs: output channels of a group see the input channels of that group */
  /* PARAMETER only; ignored for others. lngd_set does not reach them. */
  int32_t method;       /* lngd_parameter_method */
  double learning_rate; /* in (0, 1e6] */
  double weight_decay;  /* >= 0, decoupled */
  double beta1;         /* ADAMW: in [0, 1) */
  double beta2;         /* ADAMW: in [0, 1) */
  double epsilon;       /* ADAMW: in [1e-16, 1e6] */
  double momentum;      /* NESTEROV: in [0, 1) */
  /* Not for PARAMETER, which ignores them. */
  double rate_multiplier; /* >= 0: learning_rate of lngd_config is multiplied by it for this layer; 0: frozen. 1: not */
  double decay_multiplier; /* >= 0: weight_decay likewise, of every lngd_decay; 1: not */
  int32_t trust_off; /* 0 or 1: trust OFF for this layer, and with it soft_trust and output_bound; decay TRUST keeps
                        its tau_l. 0 with orthogonalise */
  int32_t reserved;  /* 0 */
} lngd_layer_config;

/* Writes a dense layer with bias, RELU, HIDDEN, fisher -1. inputs, outputs in [1, 2^24]. */
LNGD_API lngd_status lngd_layer_init(int64_t inputs, int64_t outputs, lngd_layer_config* layer);

/* Writes a convolution with bias, RELU, HIDDEN, fisher -1, stride and dilation 1, no padding, one group. kernel: `rank`
 * sizes. inputs and outputs are channels, in [1, 2^24]; so is d_w = inputs / groups * product of kernel. */
LNGD_API lngd_status lngd_conv_init(int32_t rank, int64_t inputs, int64_t outputs, const int32_t* kernel,
                                    lngd_layer_config* layer);

/* Writes an embedding without bias, IDENTITY, HIDDEN, fisher -1. inputs: how many indices there are; inputs, outputs in
 * [1, 2^24]. */
LNGD_API lngd_status lngd_embedding_init(int64_t inputs, int64_t outputs, lngd_layer_config* layer);

/* Writes a parameter of that many elements, in [1, 2^31): ADAMW with learning rate 1e-3, no decay, beta1 0.9, beta2
 * 0.999, epsilon 1e-8; momentum 0.9 for NESTEROV. A network may have nothing but parameters. */
LNGD_API lngd_status lngd_parameter_init(int64_t elements, lngd_layer_config* out);

/* Writes to *config what is recommended for a network of `count` layers in forward order, trained for total_steps >= 1
 * steps on batches of `batch` >= 1 samples (of sequences: rows of the dense layers, which are tokens): BLOCK_KRONECKER
 * where the last layer is a SOFTMAX or SIGMOID output, BLOCK_KRONECKER_FIT for other outputs and where the last layer
 * has as many outputs as the first has inputs (an autoencoder); statistics from 64 samples every total_steps / 40 steps
 * where there are convolutions (within 1 to 6, for BLOCK_KRONECKER), soft_trust for batches below 32, and
 * orthogonalise (with damping_factor 5, trust_ratio 0.7 / sqrt(total_steps + 50) and, for BLOCK_KRONECKER, weight_decay
 * 0.2): for BLOCK_KRONECKER for at most 1900 steps of at least 256 samples where it has at most 0.45 times the
 * operations of forward and backward pass, for an autoencoder 1500, 250 and 4 times. `reason` (capacity in bytes, NUL
 * included; may be NULL with capacity 0) gets one line on what was chosen and why. Parameters do not count. device,
 * threads and seed are those of lngd_config_init. Errors: LNGD_INVALID_ARGUMENT for layers that lngd_create would
 * refuse, and where there are none but parameters. */
LNGD_API lngd_status lngd_recommend(const lngd_layer_config* layers, int32_t count, int64_t total_steps, int64_t batch,
                                    lngd_config* config, char* reason, int32_t capacity);

/* ---------------------------------------------------------------- optimizer ------------------------- */

/* Opaque handles. Their values are tagged indices, not addresses: never dereference them. */
typedef struct lngd_optimizer lngd_optimizer;
typedef struct lngd_plan lngd_plan;

/* Makes an optimizer for `count` >= 1 layers, in forward order. Both arguments are copied. *out is written on LNGD_OK
 * only; free it with lngd_destroy. The device is that of lngd_choose_device, which is asked first. Errors:
 * LNGD_INVALID_ARGUMENT, LNGD_OUT_OF_MEMORY, LNGD_BACKEND_UNAVAILABLE, and those of the device. */
LNGD_API lngd_status lngd_create(const lngd_config* config, const lngd_layer_config* layers, int32_t count,
                                 lngd_optimizer** out);

/* Frees an optimizer and all its plans (their handles become invalid). LNGD_BUSY if a call is in progress on it. */
LNGD_API lngd_status lngd_destroy(lngd_optimizer* optimizer);

/* Settings that may change between steps; ranges as in lngd_config. */
typedef enum lngd_setting {
  LNGD_SET_LEARNING_RATE = 0,
  LNGD_SET_MOMENTUM = 1,
  LNGD_SET_WEIGHT_DECAY = 2,
  LNGD_SET_DAMPING_FACTOR = 3,
  LNGD_SET_DAMPING_FLOOR = 4,
  LNGD_SET_DAMPING_MIN = 5,
  LNGD_SET_DAMPING_MAX = 6,
  LNGD_SET_RHO = 7,
  LNGD_SET_MU = 8,
  LNGD_SET_TRUST_RATIO = 9,
  LNGD_SET_STATISTICS_INTERVAL = 10, /* a whole number */
  LNGD_SET_INVERSE_INTERVAL = 11,    /* a whole number */
  LNGD_SET_SIGNAL_REFERENCE = 12     /* lngd_get tells S0 once it has been taken. 0: take it anew */
} lngd_setting;

LNGD_API lngd_status lngd_set(lngd_optimizer* optimizer, int32_t setting, double value);
LNGD_API lngd_status lngd_get(const lngd_optimizer* optimizer, int32_t setting, double* value);

/* The configuration that the optimizer runs with now (threads and device resolved). out->struct_size must be set. */
LNGD_API lngd_status lngd_get_config(const lngd_optimizer* optimizer, lngd_config* out);

/* Number of layers. */
LNGD_API lngd_status lngd_layer_count(const lngd_optimizer* optimizer, int32_t* out);

/* ---------------------------------------------------------------- streams --------------------------- */

/* The CUDA stream (a cudaStream_t or CUstream, as an address) of the caller: device tensors are read and written in its
 * order, as if each call of this library were a kernel launched there; the host waits for nothing but host tensors. It
 * has to belong to the optimizer's device and live until another is set or the optimizer is destroyed. NULL is CUDA's
 * default stream. Before the first call it is a stream of the optimizer's own, which CUDA orders with its default
 * stream, and with no other. Changing it orders the new stream after what was done on the old one. Errors:
 * LNGD_INVALID_ARGUMENT for anything but NULL on the CPU, which has no streams; LNGD_INVALID_STATE while either stream
 * is being captured. */
LNGD_API lngd_status lngd_set_stream(lngd_optimizer* optimizer, void* stream);

/* Waits until everything that was asked of the optimizer is done, and tells what failed meanwhile. */
LNGD_API lngd_status lngd_synchronize(lngd_optimizer* optimizer);

/* Memory of the optimizer's device (of the host for the CPU), zeroed, for callers without a CUDA runtime of their own:
 * a tensor there has device_type 2 (CUDA and emulated) or 1 (CPU). bytes >= 1. To be freed by lngd_device_free with the
 * same optimizer before that is destroyed. */
LNGD_API lngd_status lngd_device_allocate(lngd_optimizer* optimizer, int64_t bytes, void** out);
LNGD_API lngd_status lngd_device_free(lngd_optimizer* optimizer, void* memory);
/* Copies between such memory, other memory of the device, and the host, in any direction: after everything that was
 * asked of the optimizer before, and complete on return. */
LNGD_API lngd_status lngd_device_copy(lngd_optimizer* optimizer, void* to, const void* from, int64_t bytes);

/* ---------------------------------------------------------------- observe --------------------------- */

/* Bits of lngd_needs. */
#define LNGD_NEEDS_STATISTICS 1u /* the next lngd_step of this layer takes statistics: lngd_observe feeds them */
#define LNGD_NEEDS_DELTAS 2u     /* the next lngd_step of this layer needs inputs and per-sample deltas */
#define LNGD_NEEDS_INVERSES 4u   /* lngd_refresh left the layer's inverses with their owner: lngd_inverses_received */

/* What the layer wants to see before its next step (a bit set). Observing more is harmless: it is ignored. PARAMETER:
 * 0; lngd_observe and lngd_fisher_rows refuse it with LNGD_INVALID_ARGUMENT. */
LNGD_API lngd_status lngd_needs(const lngd_optimizer* optimizer, int32_t layer, uint32_t* bits);

typedef enum lngd_signal {
  LNGD_SIGNAL_PRE_ACTIVATIONS = 0, /* s */
  LNGD_SIGNAL_OUTPUTS = 1,         /* phi(s), or the probabilities p of an output model. Not for GELU and SWISH. */
  LNGD_SIGNAL_GRADIENTS = 2        /* g: mode PROVIDED, and only there */
} lngd_signal;

/* Adds a (micro-)batch to the statistics of the coming update of `layer` (spec: Phi = (1/N) sum r_n a_n a_n^T,
 * psi_i = sum c_n q_ni / sum c_n r_n). DENSE: inputs N x d_w, without the constant column; signal N x m. CONVOLUTION:
 * inputs N x C x H x W, signal N x m x OH x OW with the output positions of that H and W (rank 1: N x C x L and N x m x
 * OL). EMBEDDING: inputs N x T, indices as floats; signal N x m x T (for T = 1 also inputs N and signal N x m). An
 * index that is not a whole number in [0, d_w) is not an error status: it keeps the update out (skipped_statistics), as
 * NaN does. These are logical orders: NHWC is a matter of strides. float32, any strides and byte alignment, N >= 1; on
 * CUDA N, N times H W and N times the output positions are 2^30 at most, in samples of lngd_step too. A sample has at
 * most 2^26 output positions.
 * Several calls before one step add up (sums and counts; the running average is taken once, by lngd_step). A call where
 * lngd_needs does not ask for statistics, or beyond statistics_samples, returns LNGD_OK and does nothing. Host tensors
 * are not read after return. Device tensors must stay unchanged until the next lngd_step of the layer has been called:
 * what the caller's stream does after that step comes after the last read. */
LNGD_API lngd_status lngd_observe(lngd_optimizer* optimizer, int32_t layer, const lngd_tensor* inputs,
                                  const lngd_tensor* signal, int32_t signal_kind);

/* The same for float matrices given by address and strides in elements: element (n, j) of `inputs` is inputs[n *
 * in_stride0 + j * in_stride1]. For bindings that would otherwise build two tensors a call. DENSE only. */
LNGD_API lngd_status lngd_observe_strided(lngd_optimizer* optimizer, int32_t layer, int64_t samples,
                                          const float* inputs, int64_t in_stride0, int64_t in_stride1,
                                          const float* signal, int64_t signal_stride0, int64_t signal_stride1,
                                          int32_t signal_kind);

#define LNGD_ALL_LAYERS (-1)

/* Drops what was observed of `layer` (LNGD_ALL_LAYERS: of each) and not yet taken by a step: an evaluation that went
 * through an observing network, a forward pass whose backward pass failed, a gradient check. The layer then asks for
 * statistics as if it had seen nothing. Running averages are left alone, so what lngd_refresh has taken stays taken.
 * Nothing observed: nothing happens. Allocates nothing; on CUDA nothing waits, unless lngd_sums_close has closed the
 * sums: then all layers have to be dropped, and it waits for the caller's stream. Errors: LNGD_INVALID_ARGUMENT for an
 * index that is none; LNGD_INVALID_STATE while the stream is being captured, and for one layer of closed sums. */
LNGD_API lngd_status lngd_discard(lngd_optimizer* optimizer, int32_t layer);

/* ---------------------------------------------------------------- sums ------------------------------ */

/* Data-parallel training: each of R ranks observes its share of a batch, the sums of the coming update of all ranks are
 * added element by element, and every rank takes the same step. For each update of the statistics
 *
 *     lngd_observe        on each rank, its own samples; none is allowed too
 *     lngd_sums_close     the sums and their counts are in the buffers of lngd_get_sums, and nothing is observed now
 *     an all-reduce (SUM) over both buffers, in place
 *     lngd_sums_reduced   the optimizer learns the counts of the total
 *     lngd_step           with the gradients of the mean loss over the whole batch, the same on all ranks
 *
 * The result is that of one optimizer that observed all samples, up to the order of additions in float32. It is the
 * same bits on all ranks where the all-reduce gives the same bits
 * to all, and where they have the same library, processor, threads, configuration, weights and order of calls.
 *
 * Which layers are due is the same on all ranks, as it follows from steps and totals; where lngd_needs asks for
 * statistics of any layer, all ranks close. A batch with NaN, Inf or an overflow on one rank, or a total that leaves
 * float's range, keeps the update out on all ranks (skipped_statistics). A layer that no rank has observed has no
 * update. S0 of SIGNAL damping follows from the totals. statistics_samples counts the samples of one rank: with n of
 * it, a total has up to R n; give each rank its share. The rate EMPIRICAL is refused (LNGD_INVALID_STATE): its C is a
 * mean over the samples that lngd_step is given, and is not among the sums.
 *
 * Gradients are the caller's own tensors, and so is their all-reduce: lay them out one behind the other in a buffer
 * of your own, bind a plan to tensors in it (or lngd_plan_rebind it), and reduce that buffer. Where R ranks have means
 * over n_r samples, the gradient of the whole batch is sum_r n_r G_r / sum_r n_r. */

/* What a range of the sums holds, over samples n and output positions t. a, r, c, q and g as in lngd_observe. */
typedef enum lngd_sum {
  LNGD_SUM_COUNTS = 0,       /* doubles: samples, and 1 where NaN, Inf or an overflow was met, else 0 */
  LNGD_SUM_PHI = 1,          /* floats: r a a^T (a a^T for KFAC and EKFAC), blocks as below; not of an EMBEDDING */
  LNGD_SUM_PHI_DIAGONAL = 2, /* doubles: of an EMBEDDING, its d diagonal elements */
  LNGD_SUM_PSI = 3,          /* doubles: c q, m; not where Psi is a matrix */
  LNGD_SUM_SECOND = 4,       /* floats: g g^T (c g g^T for TKFAC), blocks as below, where Psi is a matrix */
  LNGD_SUM_DENOMINATOR = 5,  /* doubles: c r of each group */
  LNGD_SUM_TOTALS = 6,       /* doubles: where Psi is a matrix, c of each group, r of each group, and the rows N T */
  LNGD_SUM_SCALES = 7        /* floats: EKFAC, the squares in the basis, m rows of d, each padded to a multiple of 16 */
} lngd_sum;

/* The buffers of the sums, in memory of the optimizer's device, at the same addresses for as long as it lives. Blocks:
 * those of group 0 first; a block of n columns is n rows, each padded to a multiple of 16 floats, of which the lower
 * triangle counts. What lies above a diagonal, in padding, and between ranges is finite, means nothing and is never
 * read: adding whole buffers is right. The sums of a batch that will be kept out may hold NaN; the counts tell. */
typedef struct lngd_sums {
  uint32_t struct_size; /* in: sizeof(lngd_sums) */
  int32_t device_type;  /* DLDeviceType: 1 CPU; 2 CUDA, the emulated one too */
  int32_t device_id;
  int32_t reserved;
  float* floats; /* NULL where there are none */
  int64_t float_count;
  double* doubles;
  int64_t double_count;
} lngd_sums;

/* Fills `out`. They may be read and written between lngd_sums_close and lngd_sums_reduced, and only then. */
LNGD_API lngd_status lngd_get_sums(const lngd_optimizer* optimizer, lngd_sums* out);

/* Where a sum (an lngd_sum) of a layer lies: elements from the start of its buffer, which follows from its kind, and
 * how many. *count is 0 where the layer has no such sum (a PARAMETER has none). The same for all optimizers of the same
 * layers and the same block sizes and approximation, on every device. */
LNGD_API lngd_status lngd_sum_range(const lngd_optimizer* optimizer, int32_t layer, int32_t sum, int64_t* offset,
                                    int64_t* count);

/* Ends the observations of the coming update of all layers and writes the counts: lngd_needs asks for statistics no
 * more, and lngd_observe does nothing, until a step has taken them or lngd_discard has dropped them. CUDA: nothing
 * waits; what the caller's stream does next comes after the sums, so an all-reduce is enqueued there (or on a stream
 * that waits for it). On another device's memory, or through the host, copy by lngd_device_copy. Errors:
 * LNGD_INVALID_STATE where they are closed already or hold a total, with the rate EMPIRICAL, while the stream is being
 * captured, and where a call that failed left the sums of a layer half-done: drop them by lngd_discard of that layer,
 * observe it again or do not, and close. Nothing is changed then. */
LNGD_API lngd_status lngd_sums_close(lngd_optimizer* optimizer);

/* The sums are the total of all ranks now. Reads the counts: the host waits for the caller's stream, once an update.
 * Errors, with nothing changed and the sums still closed: LNGD_INVALID_STATE where they are not closed, while the
 * stream is being captured, or where the total has samples of a layer that is not due here (the ranks are not at the
 * same step); LNGD_INVALID_ARGUMENT where a count is no whole number, negative, or below what this optimizer observed.
 * Where the all-reduce failed, or after these, drop what is left by lngd_discard of LNGD_ALL_LAYERS, on all ranks: no
 * work on the buffers may be under way then but on the caller's stream. An error of the device may lose the sums: the
 * next lngd_sums_close says so. */
LNGD_API lngd_status lngd_sums_reduced(lngd_optimizer* optimizer);

/* needed = 1: lngd_step, lngd_refresh and lngd_replay return LNGD_INVALID_STATE, with nothing changed, where statistics
 * of a layer of the plan are due and lngd_sums_reduced has not been called for them, whether this rank has observed
 * anything or not. 0, at first: a step takes what this optimizer observed. Between lngd_sums_close and
 * lngd_sums_reduced they do so with either. Not part of the state. Errors: LNGD_INVALID_STATE with the rate EMPIRICAL.
 * After an error of the device in a step the ranks may differ: restore a state. */
LNGD_API lngd_status lngd_set_reduction(lngd_optimizer* optimizer, int32_t needed);

/* Adds `offset`, 0 to 2^31 - 1, to the numbers of the samples that are observed from now on. They count from 0 in each
 * update of each layer, and key the targets that SAMPLED draws: ranks with one seed and one offset draw the same for
 * other samples, which is wrong. With the number of its first sample in the whole batch each rank draws what one
 * optimizer would have drawn for it. 0 at first; not part of the state. */
LNGD_API lngd_status lngd_set_sample_offset(lngd_optimizer* optimizer, int64_t offset);

/* ---------------------------------------------------------------- inverses -------------------------- */

/* Inverses shared among the ranks of data-parallel training: each layer has an owner, a rank that computes its inverses
 * for all (J. G. Pauloski et al., "KAISA", SC 2021, with one owner a layer). Without sharing, as an optimizer is made,
 * every rank computes all of them, which gives the same bits. Once lngd_share_inverses has been called, each step is
 *
 *     lngd_refresh             of every plan, when statistics are complete (where they are due, after
 *                              lngd_sums_reduced): running averages of all layers, inverses of the owned ones
 *     a broadcast              from each owner that has a layer whose lngd_needs has LNGD_NEEDS_INVERSES now, of its
 *                              range of the buffer, in place. Which they are is the same on all ranks
 *     lngd_inverses_received   where there was any
 *     lngd_step
 *
 * A range holds all that later steps need of an inversion: inverses of both factors (with orthogonalise the triangles),
 * their lambdas, and what lngd_layer_health tells of them: a factorisation that failed on the owner has failed, and the
 * old inverse is kept, on all ranks alike. The result is the same bits as without sharing where the ranks have the same
 * running averages, library, processor and threads. S0 of SIGNAL damping is taken on all ranks from all layers. The
 * state is that of an optimizer that does not share: it holds all inverses, so that restoring computes none. */

/* The buffer of the inverses of all layers, in memory of the optimizer's device: a range for each owner, in the order
 * of their numbers. Its contents, among them whole numbers and doubles, are to be copied, and not to be added. */
typedef struct lngd_inverses {
  uint32_t struct_size; /* in: sizeof(lngd_inverses) */
  int32_t device_type;  /* DLDeviceType: 1 CPU; 2 CUDA, the emulated one too */
  int32_t device_id;
  int32_t rank;  /* of lngd_share_inverses; -1: not shared */
  float* floats; /* NULL where there are no layers but parameters */
  int64_t float_count;
} lngd_inverses;

/* Shares the inverses among ranks: owners[i] >= 0 is the rank that computes those of layer i (of a PARAMETER, ignored),
 * `rank` >= 0 this one; count is the number of layers. `owners` has to be the same on all ranks. owners NULL, with
 * count 0: not shared any more, and rank is ignored. The buffer moves, so that the layers of an owner lie next to each
 * other: LNGD_INVALID_STATE while there are plans, while a layer waits for inverses, and while the stream is being
 * captured. Not part of the state. Errors besides: LNGD_INVALID_ARGUMENT, LNGD_OUT_OF_MEMORY for a second buffer, which
 * is held during the call. */
LNGD_API lngd_status lngd_share_inverses(lngd_optimizer* optimizer, const int32_t* owners, int32_t count, int32_t rank);

/* Fills `out`. The buffer may be read and written from a lngd_refresh after which a layer needs inverses, which is
 * complete on return, to lngd_inverses_received, and only then. The address holds until lngd_share_inverses. */
LNGD_API lngd_status lngd_get_inverses(const lngd_optimizer* optimizer, lngd_inverses* out);

/* Where the range of an owner lies: floats from the start of the buffer, and how many; *count is 0 for a rank that owns
 * nothing. Without sharing all layers are those of owner 0. The same on all ranks and devices. */
LNGD_API lngd_status lngd_inverse_range(const lngd_optimizer* optimizer, int32_t owner, int64_t* offset,
                                        int64_t* count);

/* What a layer adds to the cost of its owner and to its range: floating-point operations of one inversion, counted (n^3
 * for a matrix of n rows, 2 n^3 / 3 where its triangle is wanted, 9 n^3 for eigenvectors, n for a vector), and floats,
 * padding included. Of a PARAMETER 0. */
LNGD_API lngd_status lngd_inverse_cost(const lngd_optimizer* optimizer, int32_t layer, double* operations,
                                       int64_t* floats);

/* The inverses of all layers that needed them are in the buffer now. Reads what their owners say of them: the host
 * waits for the caller's stream, once for each owner. Errors, with nothing changed and the layers still waiting:
 * LNGD_INVALID_STATE where no layer waits, while the stream is being captured, or where the range of an owner does not
 * hold the inverses of this step (it was not broadcast, or its owner is at another step); LNGD_INVALID_ARGUMENT where
 * what it says of a layer cannot be: another rank has had another history. Where a broadcast failed: lngd_refresh of
 * one plan writes once more what this rank says of its layers, and all can be broadcast again. */
LNGD_API lngd_status lngd_inverses_received(lngd_optimizer* optimizer);

/* ---------------------------------------------------------------- step ------------------------------ */

/* The tensors of one layer in a plan. They must outlive the plan, or be replaced by lngd_plan_rebind before they are
 * freed, and keep their addresses in between. Weights and their gradients
 * of a CONVOLUTION may also be m x C/G x KH x KW (rank 1: m x C/G x K), if all axes but the first collapse into one
 * with one stride, as those of compact row-major weights do. A PARAMETER is any
 * tensor of 1 to 4 axes with its number of elements, in row-major order, whose axes collapse into at most two with one
 * stride each; where weights and gradients both have two, the inner ones are of one length. Its bias is ignored. */
typedef struct lngd_binding {
  int32_t layer;                /* index; each layer at most once in a plan */
  int32_t reserved;             /* 0 */
  lngd_tensor weights;          /* m x d_w */
  lngd_tensor bias;             /* m; ignored (may be zeroed) where the layer has none */
  lngd_tensor weight_gradients; /* m x d_w, dh/dW of the mean loss */
  lngd_tensor bias_gradients;   /* m */
} lngd_binding;

/* How a plan hands out the update. */
typedef enum lngd_update {
  LNGD_UPDATE_WEIGHTS = 0,  /* weights and bias are updated in place; gradients are only read */
  LNGD_UPDATE_GRADIENTS = 1 /* weights are only read; the gradients are overwritten with W_old - W_new, for a framework
                               that computes W -= gradient itself */
} lngd_update;

/* Validates the bindings once and plans workspaces, so that a step neither validates tensors nor allocates. count >= 1.
 * Weight and gradient tensors of a plan must not overlap where they are written; stride 0 is refused for them. */
LNGD_API lngd_status lngd_plan_create(lngd_optimizer* optimizer, const lngd_binding* bindings, int32_t count,
                                      int32_t update, lngd_plan** out);
LNGD_API lngd_status lngd_plan_destroy(lngd_plan* plan);

/* Mixed precision: a loss that was multiplied by S, as torch.amp.GradScaler does to keep small gradients inside of
 * float16. From now on the gradients of every plan and the deltas of lngd_samples are S times what they stand for, and
 * each step divides by S what it reads: gradients as they are read, and before they are clipped, squares of deltas (and
 * signals) in their sums. All that is observed for an update, and the gradients of its step, have the same S.
 *
 *   - scale: S where scale_at is NULL; finite, above 0. 1 at first
 *   - scale_at: a float32 tensor of one element that holds S, or NULL. An S that is not finite, or whose inverse is no
 *     normal float above 0, keeps the step out, whichever way it was given
 *   - signals: 1: what is observed as LNGD_SIGNAL_GRADIENTS is S times what it stands for too, as where it comes from
 *     the backward pass of that loss; 0: it is not
 *   - found_inf: a float32 tensor of one element, or NULL: anything but 0 keeps the step out
 *
 * Both tensors are read by each lngd_step, lngd_refresh (scale_at alone: whether gradients overflowed is not known
 * then) and lngd_replay until this is called again: host memory during the call, device memory by the device, in the
 * order of the caller's stream, where the host waits for nothing. So they must stay where they are; (1, NULL, 0,
 * NULL) ends it. A graph reads what was set before the lngd_replay of its launch.
 *
 * A step that is kept out is one that the caller did not take, as far as the device knows: no layer moves
 * (skipped_steps counts it; with LNGD_UPDATE_GRADIENTS the gradients are set to 0), weights, momentum, moments and
 * averages of all kinds stay as they are, and what was observed for it is dropped without being counted in
 * skipped_statistics. Averages that lngd_refresh took before stay taken. The host is not told: `steps`, by which
 * statistics and inverses fall due, counts the step, inverses that are due are made of the averages that there are, and
 * a layer that has no average yet asks for statistics at each step until it has. Ranks of data-parallel training need
 * the same S and flag on all of them.
 *
 * Not part of the state. Errors: LNGD_INVALID_ARGUMENT; LNGD_INVALID_STATE while the stream is being captured. */
LNGD_API lngd_status lngd_set_gradient_scale(lngd_optimizer* optimizer, double scale, const lngd_tensor* scale_at,
                                             int32_t signals, const lngd_tensor* found_inf);

/* New addresses (of element 0) for the tensors of a plan, as a framework needs that frees its gradients after each
 * step. Each array has `count` entries, one for each binding in the plan's order; count has to be the plan's. An array
 * that is NULL keeps the addresses it stands for. Entries of `biases` and `bias_gradients` are ignored where the layer
 * has no bias, any other has to be an address. Everything else is as the plan was created with: shape, strides, kind of
 * memory (host or device, and which), and that what is written overlaps nothing; another shape or stride needs another
 * plan. Weights are taken as they lie at the new address.
 *
 * Neither plans nor allocates; where no address changed it does nothing more than look. Device tensors: in the order of
 * the caller's stream, so that steps before it still use the old addresses, which have to stay valid until the device
 * is past them, and graphs launched after it use the new ones. Errors: LNGD_INVALID_ARGUMENT; LNGD_INVALID_STATE while
 * the stream is being captured. After an error of the device the plan takes no step (LNGD_INVALID_STATE) until a rebind
 * of all its tensors has succeeded. */
LNGD_API lngd_status lngd_plan_rebind(lngd_plan* plan, int32_t count, void* const* weights, void* const* biases,
                                      void* const* weight_gradients, void* const* bias_gradients);

/* Per-sample data of one layer for the EMPIRICAL rate: inputs N x d_w, deltas N x m with delta_n = d(loss of sample
 * n)/d s_n (NOT divided by N). CONVOLUTION and EMBEDDING: of the shapes of lngd_observe; C = (1/N) sum_n (sum_t
 * delta_nt^T D a_nt)^2. The entry of a PARAMETER is ignored. */
typedef struct lngd_samples {
  lngd_tensor inputs;
  lngd_tensor deltas;
} lngd_samples;

/* One step of all layers of the plan (spec sections 3 to 7): running averages if statistics are due and observed,
 * inverses if due, D = Psi^-1 G Phi^-1, alpha_l, trust ratio, momentum, weight decay, update, averaged weights.
 *
 *   - factor: value of the schedule at this step, multiplies the learning rate; finite, >= 0
 *   - samples: one entry for each binding, in the plan's order, or NULL. Needed where lngd_needs asks for deltas.
 *
 * Numerical trouble is not an error status: it shows in lngd_layer_health, and the layer
 *   - with NaN or Inf in an observed batch keeps its running averages (skipped_statistics),
 *   - with a factorisation that failed for good keeps its old inverse (failed_inverses),
 *   - with NaN or Inf in its gradient, with an index in `samples` that is none, with a step or a decay
 *     longer than 1e32, or before it ever had statistics, does not move (skipped_steps); with LNGD_UPDATE_GRADIENTS
 *     its gradients are set to 0. A PARAMETER: likewise, and with ||G|| of 1e16 or more, whose squares V cannot hold.
 *
 * Device tensors: nothing waits, the step is enqueued on the caller's stream. Where a tensor of the plan lies in host
 * memory, the call returns when its result is there.
 *
 * Errors: LNGD_INVALID_STATE while averaged weights are swapped in, where sums or inverses of other ranks are missing
 * (see there), and in a capture that is not possible (see lngd_replay); LNGD_INVALID_ARGUMENT for samples;
 * LNGD_OUT_OF_MEMORY where images larger than any before need a workspace that cannot be had: on the CPU that layer
 * then did not move (skipped_steps). After an error of the device nothing has moved in the caller's tensors, and the
 * step is not counted; an update of the statistics that was under way may be lost, which shows in nothing but its
 * absence. One case is less clean: where the copy of host tensors back from the device fails, momentum and averages
 * have moved on the device and the caller's weights have not. */
LNGD_API lngd_status lngd_step(lngd_plan* plan, double factor, const lngd_samples* samples);

/* Takes the running averages and inverses of the coming step now, where they are due; that step then leaves them out.
 * To be called between the last lngd_observe and the end of the backward pass, so that on CUDA they run beside it.
 * Optional: the results are the same bits without it. Layers that are due and have not been observed yet are left to
 * the step; observing a layer after this call and before its step does nothing.
 *
 * After lngd_share_inverses it is not optional where inverses are due (lngd_step refuses), leaves no layer to the step,
 * takes the inverses of the layers that this rank owns, and waits until they are in the buffer. */
LNGD_API lngd_status lngd_refresh(lngd_plan* plan);

/* CUDA graphs. lngd_step may be called while the caller's stream is being captured, if all tensors of the plan and the
 * samples lie in device memory: otherwise it returns LNGD_INVALID_STATE and leaves the capture as it was. The captured
 * step is not executed and not counted, and has no part in statistics and inverses (its factor does not matter either).
 * Then, for each step to be taken,
 *
 *     lngd_replay(plan, factor, &allowed)
 *     allowed ? cudaGraphLaunch(graph, the stream of lngd_set_stream) : lngd_step(plan, factor, samples)
 *
 * lngd_replay counts the step and hands the graph its factor and the present settings; or it does nothing and says
 * allowed = 0 where this step has to be taken by lngd_step: statistics or inverses are due, a layer was observed or has
 * no inverse yet, or the plan has host tensors. The graph reads the tensors of the plan and of the samples where they
 * lay when it was captured, and must not be launched after the plan was destroyed. With the rate EMPIRICAL each
 * captured step takes memory of its own (lngd_memory_report counts it), which is freed with the plan: capture a step
 * once, not again and again. CPU: allowed = 0. Errors: LNGD_INVALID_STATE while averaged weights are swapped in or the
 * stream is being captured. */
LNGD_API lngd_status lngd_replay(lngd_plan* plan, double factor, int32_t* allowed);

/* Writes to *norm the norm of all gradients of the plan in its last lngd_step or replayed step, as they were before
 * they were clipped; NaN or Inf where one of them was; divided by the S of lngd_set_gradient_scale. Waits for what was
 * asked of the optimizer. Errors: LNGD_INVALID_STATE where gradient_clipping is 0, before the first step, and while the
 * stream is being captured. */
LNGD_API lngd_status lngd_gradient_norm(const lngd_plan* plan, double* norm);

/* Exchanges the weights of the plan's tensors with the averaged weights kept by the library; a second call exchanges
 * them back, to the same bits. *swapped (may be NULL) tells whether averages are in the tensors now. Before the first
 * step nothing is exchanged and *swapped is 0. Errors: LNGD_INVALID_STATE where averaging is off. */
LNGD_API lngd_status lngd_swap_averages(lngd_plan* plan, int32_t* swapped);

/* ---------------------------------------------------------------- read-outs ------------------------- */

/* Health of a layer. Counters count from the creation (or restore: they are part of the state). Of a PARAMETER:
 * last_step_skipped, steps, skipped_steps, inner_product, direction_norm (D of ADAMW, G of NESTEROV) and weight_norm;
 * alpha and trust_scale are 1, last_failed_* -1, the others 0. */
typedef struct lngd_health {
  uint32_t struct_size;       /* in: sizeof(lngd_health) */
  int32_t last_failed_block;  /* block of Phi (those of group 0 first), then block of a matrix Psi, whose
                                 factorisation failed last; -1: none */
  int32_t last_failed_pivot;  /* its first non-positive pivot, counted from 0 in that block; -1: none ever */
  int32_t last_step_skipped;  /* 1 if the last step did not move this layer */
  int64_t steps;              /* steps of this layer, skipped ones included */
  int64_t statistics_updates; /* running averages taken */
  int64_t inverse_updates;    /* times the inverses were renewed */
  int64_t skipped_statistics; /* updates kept out: NaN, Inf, or nothing but zeros */
  int64_t retries;            /* factorisations repeated with ten times the damping */
  int64_t failed_inverses;    /* blocks that kept their old inverse after 6 retries */
  int64_t skipped_steps;
  double lambda_phi_min; /* damping in use: smallest and largest over the blocks; 0 before the first inverse */
  double lambda_phi_max;
  double lambda_psi;     /* the largest over its blocks, where the second factor is a matrix */
  double alpha;          /* alpha_l of the last step (1 for NONE) */
  double inner_product;  /* <D, G> */
  double curvature;      /* C; 0 for NONE */
  double direction_norm; /* ||D|| before alpha_l and trust ratio */
  double weight_norm;    /* ||W|| with bias, before the update */
  double trust_scale;    /* factor that the trust ratio put on alpha_l D (1: none) */
} lngd_health;
LNGD_API lngd_status lngd_layer_health(const lngd_optimizer* optimizer, int32_t layer, lngd_health* out);

/* Writes to *precision how the layer's statistics are multiplied with the present settings: an lngd_precision, never
 * AUTO; FP32 on the CPU and for embeddings. LNGD_INVALID_ARGUMENT where layer is none of the optimizer's (0 to its
 * layers
 * - 1) or precision is NULL. */
LNGD_API lngd_status lngd_layer_precision(const lngd_optimizer* optimizer, int32_t layer, int32_t* precision);

/* Bytes that an optimizer holds now. */
typedef struct lngd_memory {
  uint32_t struct_size; /* in: sizeof(lngd_memory) */
  uint32_t reserved;
  int64_t factors;  /* running averages and sums */
  int64_t inverses; /* the buffer of lngd_get_inverses; EKFAC: with S */
  int64_t momentum; /* with the second moments of parameters */
  int64_t averages;
  int64_t workspace; /* directions, packing buffers, plans */
  int64_t total;
} lngd_memory;
LNGD_API lngd_status lngd_memory_report(const lngd_optimizer* optimizer, lngd_memory* out);

/* Wall-clock nanoseconds spent since creation, by kernel. On CUDA these are the host's: what it took to enqueue them,
 * not to run them (events between kernels would stand in the way of a captured graph; a profiler shows the rest). */
typedef struct lngd_times {
  uint32_t struct_size; /* in: sizeof(lngd_times) */
  uint32_t reserved;
  int64_t statistics;
  int64_t inverse;
  int64_t precondition;
  int64_t rate;
  int64_t update;
} lngd_times;
LNGD_API lngd_status lngd_profile(const lngd_optimizer* optimizer, lngd_times* out);

/* Arrays of a layer that can be read, row-major and compact, d = d_w + bias, G groups (1 unless a grouped convolution).
 * PHI and PHI_INVERSE of an EMBEDDING: d, the diagonal. A PARAMETER has MOMENTUM (M), AVERAGE and, with ADAMW,
 * SECOND_MOMENT, of as many floats as it has elements, and no others: LNGD_INVALID_ARGUMENT. */
typedef enum lngd_field {
  LNGD_FIELD_PHI = 0,          /* G x d x d, running average; 0 outside the diagonal blocks */
  LNGD_FIELD_PSI = 1,          /* m; G x m/G x m/G where it is a matrix; 0 outside the diagonal blocks */
  LNGD_FIELD_PHI_INVERSE = 2,  /* G x d x d, of the damped Phi; 0 outside the diagonal blocks */
  LNGD_FIELD_PSI_INVERSE = 3,  /* as PSI. EKFAC: both inverses are the eigenvectors in use, as rows */
  LNGD_FIELD_MOMENTUM = 4,     /* m x d */
  LNGD_FIELD_AVERAGE = 5,      /* m x d (what the library holds: the other weights while swapped) */
  LNGD_FIELD_DIRECTION = 6,    /* m x d, D of the last step; INVALID_STATE before it */
  LNGD_FIELD_SECOND_MOMENT = 7 /* V of a PARAMETER with ADAMW */
} lngd_field;

/* Copies a field to `out` (capacity in floats). *count (may be NULL) gets the number of floats; with out = NULL only
 * that. */
LNGD_API lngd_status lngd_layer_read(const lngd_optimizer* optimizer, int32_t layer, int32_t field, float* out,
                                     int64_t capacity, int64_t* count);

/* Replaces PHI (G x d x d, its lower triangle inside the diagonal blocks is taken; EMBEDDING: d), PSI (of a matrix, as
 * PHI), MOMENTUM, AVERAGE or SECOND_MOMENT (none negative) by `count` finite floats in the layout of lngd_layer_read.
 * Writing PHI or PSI counts as having statistics (write both, or the other one is zero); the inverses are renewed by
 * the next step. For tests, warm starts and averages taken between machines. */
LNGD_API lngd_status lngd_layer_write(lngd_optimizer* optimizer, int32_t layer, int32_t field, const float* values,
                                      int64_t count);

/* ---------------------------------------------------------------- state ----------------------------- */

/* The state: format version, hash of everything in the configuration that shapes it, layer table, running averages,
 * inverses in use, momentum, averages, counters, current settings, and a checksum. Restoring it into an optimizer of
 * the same configuration on the same backend and continuing gives the bits of not having stopped. (The inverses are
 * stored, not recomputed: with T_INV > T_FIM the running averages have moved on since.) Save: LNGD_INVALID_STATE
 * between lngd_observe, lngd_refresh or lngd_sums_close and lngd_step (a half-done update is not state) and while
 * averages are swapped in. Little endian. A state of another backend is taken, and goes on with the rounding of this
 * one. */
LNGD_API lngd_status lngd_state_size(const lngd_optimizer* optimizer, int64_t* bytes);
LNGD_API lngd_status lngd_state_save(const lngd_optimizer* optimizer, void* buffer, int64_t capacity, int64_t* written);
/* After any error the optimizer is as it was: where the device fails half-way, what was there is written back, and
 * where that fails too, every later call says LNGD_DEVICE_LOST. Existing plans stay valid. */
LNGD_API lngd_status lngd_state_restore(lngd_optimizer* optimizer, const void* buffer, int64_t bytes);

/* ---------------------------------------------------------------- primitives ------------------------ */
/* For tests, golden vectors and other frameworks' checks: the same code that the kernels run. */

/* Philox4x32-10 (Salmon et al., SC 2011): out[4] from counter[4] and key[2]. */
LNGD_API lngd_status lngd_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Row quantities of a batch for a layer as lngd_observe takes them: q (N x m, row-major), r_n = sum_i q_ni (N),
 * c_n = ||a_n||^2 (N, the constant 1 of a bias included). `step` is the layer's step that keys SAMPLED. Any output may
 * be NULL. CONVOLUTION and EMBEDDING: rows n T + t (t runs over the width fastest): q N T x m, r and c N T x G, one
 * number a group; c is NaN for an index that is none.
 */
LNGD_API lngd_status lngd_fisher_rows(const lngd_optimizer* optimizer, int32_t layer, int64_t step,
                                      const lngd_tensor* inputs, const lngd_tensor* signal, int32_t signal_kind,
                                      float* q, float* r, float* c);

/* phi(s) and phi'(s) for n values; `value` or `derivative` may be NULL. */
LNGD_API lngd_status lngd_activation_apply(int32_t activation, double parameter, int64_t n, const float* s,
                                           float* value, float* derivative);

#ifdef __cplusplus
}
#endif
#endif /* LNGD_LNGD_H */
