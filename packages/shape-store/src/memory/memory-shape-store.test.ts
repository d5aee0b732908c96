import { systemClock } from '@shapecast/service-kit';
import { describeShapeStore } from '../shape-store.contract.ts';
import { openMemoryShapeStore } from './memory-shape-store.ts';

describeShapeStore('memory', async (limits) => openMemoryShapeStore(systemClock, limits));
