# A whole fit by mclust, its own start included: reads a problem, prints seconds, weights, means and covariances.
#
# Rscript optimum.R FILE MODEL; FILE holds n, d, K and the seed as int64, then the rows in float64.

suppressPackageStartupMessages(library(mclust))
arguments <- commandArgs(trailingOnly = TRUE)
file <- file(arguments[1], "rb")
head <- readBin(file, "integer", 8)[c(1, 3, 5, 7)] # low halves of int64
n <- head[1]; d <- head[2]; k <- head[3]
x <- matrix(readBin(file, "double", n * d), n, d, byrow = TRUE)
set.seed(head[4])
began <- as.numeric(Sys.time())
found <- Mclust(x, G = k, modelNames = arguments[2], verbose = FALSE)
seconds <- as.numeric(Sys.time()) - began
if (is.null(found)) stop("no fit")
out <- found$parameters
sigma <- if (d == 1) rep_len(out$variance$sigmasq, k) else out$variance$sigma
cat(formatC(c(seconds, out$pro, out$mean, sigma), digits = 17, format = "g"), sep = "\n")
