import { systemClock } from '@shapecast/service-kit';
import { openMemoryShapeStore } from '@shapecast/shape-store';
import { describeRouter } from './router.contract.ts';

describeRouter('memory', () => openMemoryShapeStore(systemClock));
